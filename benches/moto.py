"""SubmitJob per second beside moto's server, from the same client: boto3, one connection."""

import subprocess
import sys
import time
from pathlib import Path

import boto3

from harness import ACCESS_KEY, REGION, SECRET_KEY, arguments, free_port, scratch, server, table, times
from submit import DEFINITION, QUEUE, prepare

ROLE = "arn:aws:iam::123456789012:role/service"


def client(service, port):
    return boto3.client(
        service, endpoint_url=f"http://127.0.0.1:{port}", region_name=REGION,
        aws_access_key_id=ACCESS_KEY, aws_secret_access_key=SECRET_KEY,
    )


def rate(batch, count):
    began = time.perf_counter()
    for number in range(count):
        batch.submit_job(jobName=f"job-{number}", jobQueue=QUEUE, jobDefinition=DEFINITION)
    return count / (time.perf_counter() - began)


def moto(directory, port):
    """moto's server, answering."""
    log = (directory / "moto.log").open("w")
    program = Path(sys.executable).parent / "moto_server"
    process = subprocess.Popen([program, "-p", str(port)], stdout=log, stderr=log)
    for _ in range(200):
        try:
            client("iam", port).list_roles()
            return process
        except Exception:  # noqa: BLE001: it is not up yet
            time.sleep(0.1)
    process.terminate()
    raise RuntimeError((directory / "moto.log").read_text())


def prepare_moto(port):
    """moto wants more of the world than Batch: a network and a role. It runs jobs in Docker; the simple kind does not."""
    ec2 = client("ec2", port)
    vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.0.0.0/24")["Subnet"]["SubnetId"]
    group = ec2.create_security_group(GroupName="bench", Description="bench", VpcId=vpc)["GroupId"]
    role = client("iam", port).create_role(RoleName="bench", AssumeRolePolicyDocument="{}")["Role"]["Arn"]
    batch = client("batch", port)
    batch.create_compute_environment(
        computeEnvironmentName="bench", type="MANAGED", state="ENABLED", serviceRole=role,
        computeResources={"type": "FARGATE", "maxvCpus": 1, "subnets": [subnet], "securityGroupIds": [group]},
    )
    batch.create_job_queue(
        jobQueueName=QUEUE, state="ENABLED", priority=1,
        computeEnvironmentOrder=[{"order": 1, "computeEnvironment": "bench"}],
    )
    batch.register_job_definition(
        jobDefinitionName=DEFINITION, type="container", platformCapabilities=["FARGATE"],
        containerProperties={
            "image": "busybox", "command": ["true"],
            "resourceRequirements": [{"type": "VCPU", "value": "1"}, {"type": "MEMORY", "value": "2048"}],
        },
    )
    return batch


def main():
    options = arguments(__doc__, jobs=(500, "jobs"))
    with scratch() as directory, server(directory) as running:
        port = free_port()
        other = moto(directory, port)
        try:
            beside = prepare_moto(port)
            prepare(running.client("batch"))
            ours = client("batch", running.port)
            rate(ours, 20)
            # In turns, so that both see the same machine.
            rates = [(rate(ours, options.jobs), rate(beside, options.jobs)) for _ in range(2)]
        finally:
            other.terminate()
            other.wait()
    barge, moto_rate = max(pair[0] for pair in rates), max(pair[1] for pair in rates)
    rows = [("SubmitJob, boto3, 1 connection", f"{barge:.0f}/s", f"moto: {moto_rate:.0f}/s", times(barge / moto_rate))]
    notes = ["Barge answers when the job is on disk; moto keeps nothing, and fakes or refuses the job's run"]
    table(f"SubmitJob beside moto's server ({options.jobs} jobs)", rows, notes)


if __name__ == "__main__":
    main()
