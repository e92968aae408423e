"""The pipeline's EC2 variant: an inline Python function with boto3, an EC2 environment, a job definition in the older form."""

import json
import subprocess

import pytest

from conftest import ACCOUNT, BARGE, EXAMPLE, REGION, wait_for

BINARIES = next(iter(sorted(EXAMPLE.glob("target/*-gnu/release"))), EXAMPLE / "target/release")
QUICK = {"Delay": 0.1, "MaxAttempts": 600}


def test_the_ec2_variant_deploys_runs_and_goes(server, name, tmp_path):
    formation, s3 = server.client("cloudformation"), server.client("s3")
    formation.create_stack(
        StackName=name, TemplateBody=(EXAMPLE / "template-ec2.yaml").read_text(), Capabilities=["CAPABILITY_IAM"],
    )
    formation.get_waiter("stack_create_complete").wait(StackName=name, WaiterConfig=QUICK)
    stack = formation.describe_stacks(StackName=name)["Stacks"][0]
    outputs = {o["OutputKey"]: o["OutputValue"] for o in stack["Outputs"]}
    assert outputs["BucketName"] == f"{name}-{ACCOUNT}-{REGION}"

    batch = server.client("batch")
    environment = next(
        found for found in batch.describe_compute_environments()["computeEnvironments"]
        if found["computeEnvironmentName"].startswith(f"{name}-ComputeEnvironment")
    )["computeResources"]
    assert (environment["type"], environment["minvCpus"], environment["maxvCpus"]) == ("EC2", 0, 32)
    assert environment["instanceTypes"] == ["optimal"]
    policy = json.loads(server.client("ecr").get_repository_policy(repositoryName=f"{name}-loader")["policyText"])
    assert f":role/{name}-InstanceRole-" in policy["Statement"][0]["Principal"]["AWS"]

    layout = tmp_path / "image"
    subprocess.run([BARGE, "image", "pack", "--binary", BINARIES / "loader", "--output", layout], check=True, capture_output=True)
    server.barge("image", "push", layout, f"127.0.0.1:{server.port}/{name}-loader:latest")
    text = "ProductId,ProductName,ProductDescription\n" + "".join(f"p{n},Product {n},text\n" for n in range(20))
    s3.put_object(Bucket=outputs["BucketName"], Key="in/some file.csv", Body=text.encode())

    def rows():
        items = server.client("dynamodb").scan(TableName=outputs["TableName"], ConsistentRead=True)["Items"]
        return {item["ProductId"]["S"] for item in items}

    # The first Python function of a server may have to install boto3.
    def ended():
        found = [s for s in ("SUCCEEDED", "FAILED") if batch.list_jobs(jobQueue=outputs["JobQueueName"], jobStatus=s)["jobSummaryList"]]
        return found

    assert wait_for(ended, seconds=240, what="the job's end") == ["SUCCEEDED"]
    assert len(rows()) == 20
    jobs = batch.list_jobs(jobQueue=outputs["JobQueueName"], jobStatus="SUCCEEDED")["jobSummaryList"]
    assert [job["jobName"] for job in jobs] == ["in-some-file-csv"]

    for key in s3.list_objects_v2(Bucket=outputs["BucketName"]).get("Contents", []):
        s3.delete_object(Bucket=outputs["BucketName"], Key=key["Key"])
    images = server.client("ecr").list_images(repositoryName=f"{name}-loader")["imageIds"]
    server.client("ecr").batch_delete_image(repositoryName=f"{name}-loader", imageIds=images)
    formation.delete_stack(StackName=name)
    formation.get_waiter("stack_delete_complete").wait(StackName=stack["StackId"], WaiterConfig=QUICK)


@pytest.mark.parametrize("module", ["boto3", "botocore", "json"])
def test_python_functions_have_what_aws_s_runtime_has(server, name, module):
    """boto3 comes from the host's Python, or is installed once beside the data; see docs/lambda.md."""
    iam, functions = server.client("iam"), server.client("lambda")
    trust = {"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}]}
    role = iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(trust))["Role"]["Arn"]
    import io
    import zipfile

    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("index.py", f"import {module}\ndef lambda_handler(event, context):\n    return {module}.__name__\n")
    functions.create_function(
        FunctionName=name, Runtime="python3.9", Handler="index.lambda_handler", Role=role, Timeout=60,
        Code={"ZipFile": packed.getvalue()},
    )
    answer = functions.invoke(FunctionName=name)
    assert json.loads(answer["Payload"].read()) == module
    functions.delete_function(FunctionName=name)
    iam.delete_role(RoleName=name)
