"""The main job: a CSV through S3, Lambda, Batch and a container into a table; also when the server is killed on the way."""

import csv
import io
import os
import pathlib
import random
import subprocess
import time
import zipfile

import pytest

from conftest import ACCOUNT, BARGE, EXAMPLE, REGION, wait_for

BINARIES = next(iter(sorted(EXAMPLE.glob("target/*-gnu/release"))), EXAMPLE / "target/release")


class Pipeline:
    """The example's stack on a server."""

    def __init__(self, server, stack):
        self.server, self.stack = server, stack
        self.bucket = f"{stack}-{ACCOUNT}-{REGION}"
        s3 = server.client("s3")
        code = f"{stack}-code"
        s3.create_bucket(Bucket=code)
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w") as archive:
            entry = zipfile.ZipInfo("bootstrap")
            entry.external_attr = 0o755 << 16
            archive.writestr(entry, (BINARIES / "trigger").read_bytes())
        s3.put_object(Bucket=code, Key="trigger.zip", Body=packed.getvalue())
        formation = server.client("cloudformation")
        formation.create_stack(
            StackName=stack, TemplateBody=(EXAMPLE / "template.yaml").read_text(),
            Capabilities=["CAPABILITY_IAM", "CAPABILITY_NAMED_IAM"],
            Parameters=[{"ParameterKey": "CodeBucket", "ParameterValue": code}],
        )
        formation.get_waiter("stack_create_complete").wait(StackName=stack, WaiterConfig={"Delay": 0.1, "MaxAttempts": 300})
        described = formation.describe_stacks(StackName=stack)["Stacks"][0]
        self.outputs = {o["OutputKey"]: o["OutputValue"] for o in described["Outputs"]}

    def push(self, directory):
        layout = pathlib.Path(directory) / "image"
        subprocess.run([BARGE, "image", "pack", "--binary", BINARIES / "loader", "--output", layout], check=True, capture_output=True)
        self.server.barge("image", "push", layout, f"127.0.0.1:{self.server.port}/{self.outputs['RepositoryUri'].split('/', 1)[1]}:latest")

    def upload(self, key, rows):
        text = io.StringIO()
        writer = csv.writer(text)
        writer.writerow(["ProductId", "ProductName", "ProductDescription"])
        writer.writerows(rows)
        self.server.client("s3").put_object(Bucket=self.outputs["BucketName"], Key=key, Body=text.getvalue().encode())

    def rows(self):
        pages = self.server.client("dynamodb").get_paginator("scan").paginate(TableName=self.outputs["TableName"], ConsistentRead=True)
        return {item["ProductId"]["S"]: item for page in pages for item in page["Items"]}

    def jobs(self):
        batch = self.server.client("batch")
        found = []
        for status in ("SUBMITTED", "PENDING", "RUNNABLE", "STARTING", "RUNNING", "SUCCEEDED", "FAILED"):
            pages = batch.get_paginator("list_jobs").paginate(jobQueue=self.outputs["JobQueueName"], jobStatus=status)
            found += [job for page in pages for job in page["jobSummaryList"]]
        return found

    def settled(self):
        """Every job, once none is under way."""
        jobs = self.jobs()
        return jobs if jobs and all(job["status"] in ("SUCCEEDED", "FAILED") for job in jobs) else None


def products(prefix, count):
    return [[f"{prefix}-{n}", f"Product {n}", f"It is number {n},\nof many"] for n in range(count)]


@pytest.fixture(scope="module")
def pipeline(server, tmp_path_factory):
    deployed = Pipeline(server, "pipeline-test")
    deployed.push(tmp_path_factory.mktemp("image"))
    return deployed


def test_an_upload_becomes_rows_with_their_columns(pipeline):
    pipeline.upload("in/first file.csv", products("first", 30))
    wait_for(lambda: sum(key.startswith("first-") for key in pipeline.rows()) == 30, what="the last row")
    item = pipeline.rows()["first-7"]
    assert item["ProductName"]["S"] == "Product 7"
    assert item["ProductDescription"]["S"] == "It is number 7,\nof many"
    assert item["Filename"]["S"].endswith("first file.csv")
    assert {"CreatedTime", "LastModified"} <= item.keys()


def test_a_malformed_row_is_set_aside_and_triggers_nothing(pipeline):
    key = "bad.csv"
    body = b"ProductId,ProductName,ProductDescription\nbad-1,fine,row\nbad-2,too,many,columns\n,empty,key\nbad-3,\xff,x\n"
    s3 = pipeline.server.client("s3")
    s3.put_object(Bucket=pipeline.outputs["BucketName"], Key=key, Body=body)
    wait_for(lambda: "bad-1" in pipeline.rows(), what="the good row")
    jobs = wait_for(pipeline.settled, what="the jobs' end")
    details = pipeline.server.client("batch").describe_jobs(jobs=[job["jobId"] for job in jobs])["jobs"]
    mine = [job for job in details if {"name": "FileName", "value": key} in job["container"]["environment"]]
    assert [job["status"] for job in mine] == ["FAILED"]
    assert mine[0]["container"]["exitCode"] == 3
    rejected = s3.get_object(Bucket=pipeline.outputs["BucketName"], Key=f"rejected/{key}")["Body"].read().decode("utf-8", "replace")
    assert all(f"{line}" in rejected for line in (3, 4, 5)), rejected
    assert not [job for job in details for pair in job["container"]["environment"] if pair == {"name": "FileName", "value": f"rejected/{key}"}]


def test_every_row_arrives_although_the_server_is_killed(own_server, tmp_path):
    """The kill test: `kill -9` at random points of the main job, restart, and every row of every file is in the table."""
    pipeline = Pipeline(own_server, "kill-test")
    pipeline.push(tmp_path)
    seed = int(os.environ.get("KILL_SEED") or random.SystemRandom().randrange(1 << 32))
    print(f"to try these moments again: KILL_SEED={seed}")  # pytest shows it where the test fails
    chance = random.Random(seed)
    for round_number in range(8):
        pipeline.upload(f"round-{round_number}.csv", products(f"r{round_number}", 200))
        time.sleep(chance.uniform(0, 0.4))
        own_server.kill()
        own_server.start()
    wanted = {f"r{r}-{n}" for r in range(8) for n in range(200)}
    missing = lambda: wanted - pipeline.rows().keys()
    wait_for(lambda: not missing() and pipeline.settled(), seconds=60, what="the last row")
    assert not missing()
    assert all(job["status"] == "SUCCEEDED" for job in pipeline.jobs()), pipeline.jobs()
