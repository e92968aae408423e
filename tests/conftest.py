"""Fixtures: a running Barge, and AWS's own clients for it."""

import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
import uuid

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

ROOT = pathlib.Path(__file__).resolve().parent.parent
BARGE = pathlib.Path(os.environ.get("BARGE", ROOT / "target/debug/barge"))
EXAMPLE = ROOT / "examples/csv-to-table"
REGION = "us-east-1"
ACCOUNT = "000000000000"
ACCESS_KEY, SECRET_KEY = "AKIATESTTESTTESTTEST", "tests-secret-key"


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def expect_no_drift(formation):
    """Whatever template a test deploys: when the client first sees the stack made or updated, nothing has drifted."""
    seen = set()

    def check(parsed, **_):
        for stack in parsed.get("Stacks", []):
            moment = (stack["StackId"], stack.get("LastUpdatedTime"))
            if stack["StackStatus"] not in ("CREATE_COMPLETE", "UPDATE_COMPLETE", "UPDATE_ROLLBACK_COMPLETE") or moment in seen:
                continue
            seen.add(moment)
            try:
                formation.detect_stack_drift(StackName=stack["StackId"])
                found = formation.describe_stack_resource_drifts(
                    StackName=stack["StackId"], StackResourceDriftStatusFilters=["MODIFIED", "DELETED", "UNKNOWN"])
            except (BotoCoreError, ClientError):
                continue  # The next operation has begun, or the server has been killed.
            drifted = [(d["ResourceType"], d["LogicalResourceId"], d["StackResourceDriftStatus"], d.get("DriftStatusReason"),
                        d.get("PropertyDifferences")) for d in found["StackResourceDrifts"]]
            assert not drifted, f"made by a template, and drifted: {drifted}"

    formation.meta.events.register("after-call.cloudformation.DescribeStacks", check)


class Server:
    """One Barge on a data directory and port of its own. It keeps both over a restart."""

    def __init__(self, data_dir, *arguments):
        self.data_dir = pathlib.Path(data_dir)
        self.arguments = arguments
        self.port = free_port()
        self.endpoint = f"http://127.0.0.1:{self.port}"
        self.log = self.data_dir.parent / f"{self.data_dir.name}.log"
        self.process = None

    def start(self):
        environment = {
            **os.environ,
            "BARGE_ACCESS_KEY_ID": ACCESS_KEY,
            "BARGE_SECRET_ACCESS_KEY": SECRET_KEY,
        }
        command = [BARGE, "serve", "--listen", f"127.0.0.1:{self.port}", "--data-dir", self.data_dir, *self.arguments]
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log, env=environment)
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise RuntimeError(f"the server ended with {self.process.returncode}:\n{self.log.read_text()[-4000:]}")
            try:
                with urllib.request.urlopen(f"{self.endpoint}/_barge/health", timeout=1) as answer:
                    assert answer.status == 200
                    return self
            except OSError:
                time.sleep(0.02)
        raise RuntimeError("the server does not answer")

    def end(self, how):
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(how)
            self.process.wait(timeout=30)

    def stop(self):
        self.end(signal.SIGTERM)
        return self.process.returncode

    def kill(self):
        self.end(signal.SIGKILL)

    def restart(self):
        self.stop()
        return self.start()

    def client(self, service, **config):
        keys = dict(aws_access_key_id=ACCESS_KEY, aws_secret_access_key=SECRET_KEY)
        settings = Config(retries={"total_max_attempts": 1}, connect_timeout=5, read_timeout=70)
        options = {"region_name": REGION, "config": settings, **keys, **config}
        client = boto3.client(service, endpoint_url=self.endpoint, **options)
        if service == "cloudformation":
            expect_no_drift(client)
        return client

    def environment(self):
        """What `barge env` exports, for programs that are started here."""
        plain = {k: v for k, v in os.environ.items() if not k.startswith(("AWS_", "BARGE_"))}
        return {
            **plain,
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ACCESS_KEY_ID": ACCESS_KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_REGION": REGION,
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_PAGER": "",
        }

    def cli(self, *arguments, check=True, timeout=60, **options):
        """Runs the aws CLI and gives the completed process."""
        aws = pathlib.Path(sys.executable).with_name("aws")
        return subprocess.run(
            [aws, *map(str, arguments)],
            env=self.environment(),
            check=check,
            timeout=timeout,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            **options,
        )

    def barge(self, *arguments, check=True, timeout=60):
        """Runs a command of the barge program against this server."""
        return subprocess.run(
            [BARGE, *map(str, arguments)],
            env=self.environment(),
            check=check,
            timeout=timeout,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    """The Barge that most tests share: they name their things uniquely."""
    running = Server(tmp_path_factory.mktemp("barge") / "data").start()
    yield running
    code = running.stop()
    assert code == 0, f"the server ended with {code}:\n{running.log.read_text()[-4000:]}"


@pytest.fixture
def own_server(tmp_path):
    """A Barge of the test's own, for tests that kill it or look at its directory."""
    running = Server(tmp_path / "data").start()
    yield running
    running.stop()


@pytest.fixture
def aws(server):
    """`aws("s3")` is a boto3 client of the shared server."""
    return server.client


@pytest.fixture
def name():
    """A name that no other test uses, legal for every service."""
    return f"t-{uuid.uuid4().hex[:12]}"


def wait_for(probe, seconds=30, what="it"):
    """Calls `probe` until it gives something true, and gives that."""
    deadline = time.monotonic() + seconds
    while True:
        value = probe()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"{what} did not happen in {seconds} s")
        time.sleep(0.02)


def needs(program, package):
    """Skips nothing: a missing client fails the test by name."""
    path = shutil.which(program)
    assert path, f"{program} is missing: install the package {package} (make deps)"
    return path


@pytest.fixture(scope="session")
def busybox_layout(tmp_path_factory):
    """An OCI layout with busybox as its shell and tools, packed by `barge image pack`."""
    root = tmp_path_factory.mktemp("busybox")
    (root / "bin").mkdir()
    for folder in ("tmp", "etc"):
        (root / folder).mkdir()
    (root / "etc/passwd").write_text("root:x:0:0::/:/bin/sh\nworker:x:1234:1234::/:/bin/sh\n")
    (root / "etc/group").write_text("root:x:0:\nworker:x:1234:\n")
    shutil.copy(needs("busybox", "busybox-static"), root / "bin/busybox")
    for tool in ("sh", "true", "false", "echo", "sleep", "cat", "env", "id", "seq", "dd", "kill", "wget", "ls", "head"):
        (root / "bin" / tool).symlink_to("busybox")
    layout = tmp_path_factory.mktemp("layout") / "busybox"
    subprocess.run(
        [BARGE, "image", "pack", "--directory", root, "--env", "PATH=/bin", "--output", layout],
        check=True, stdout=subprocess.DEVNULL,
    )
    return layout


def push(server, layout, repository, tag="latest"):
    """Pushes an OCI layout to a new ECR repository with skopeo; gives the image's AWS name."""
    ecr = server.client("ecr")
    ecr.create_repository(repositoryName=repository)
    skopeo = needs("skopeo", "skopeo")
    token = ecr.get_authorization_token()["authorizationData"][0]["authorizationToken"]
    import base64

    subprocess.run(
        [skopeo, "copy", "--insecure-policy", "--dest-tls-verify=false",
         "--dest-creds", base64.b64decode(token).decode(),
         f"oci:{layout}", f"docker://127.0.0.1:{server.port}/{repository}:{tag}"],
        check=True, capture_output=True, text=True, timeout=60,
    )
    return f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/{repository}:{tag}"


class BatchBench:
    """A queue on a compute environment, and an image with a shell: what a Batch test stands on."""

    def __init__(self, server, image, name, vcpus=4, kind="FARGATE"):
        self.server, self.image, self.name = server, image, name
        self.batch = server.client("batch")
        self.environment = f"{name}-ce"
        self.platform = "FARGATE" if kind.startswith("FARGATE") else "EC2"
        resources = {"type": kind, "maxvCpus": vcpus, "subnets": ["subnet-1"], "securityGroupIds": ["sg-1"]}
        if self.platform == "EC2":
            resources |= {"minvCpus": 0, "instanceTypes": ["optimal"], "instanceRole": "ecsInstanceRole"}
        self.batch.create_compute_environment(
            computeEnvironmentName=self.environment, type="MANAGED", state="ENABLED", computeResources=resources,
        )
        self.queue = self.add_queue(f"{name}-q", 1)

    def add_queue(self, queue, priority):
        self.batch.create_job_queue(
            jobQueueName=queue, state="ENABLED", priority=priority,
            computeEnvironmentOrder=[{"order": 1, "computeEnvironment": self.environment}],
        )
        return queue

    def define(self, command, name=None, vcpu="0.25", memory="512", **properties):
        definition = name or f"{self.name}-{uuid.uuid4().hex[:8]}"
        top = {k: properties.pop(k) for k in ("retryStrategy", "timeout", "parameters", "tags") if k in properties}
        self.batch.register_job_definition(
            jobDefinitionName=definition, type="container", platformCapabilities=[self.platform],
            containerProperties={
                "image": self.image, "command": command,
                "executionRoleArn": f"arn:aws:iam::{ACCOUNT}:role/execution",
                "resourceRequirements": [{"type": "VCPU", "value": vcpu}, {"type": "MEMORY", "value": memory}],
                **properties,
            }, **top,
        )
        return definition

    def submit(self, definition, queue=None, **overrides):
        job = overrides.pop("jobName", "job")
        return self.batch.submit_job(jobName=job, jobQueue=queue or self.queue, jobDefinition=definition, **overrides)["jobId"]

    def run(self, *command, **properties):
        """Submits a job with this command and gives it once it has ended."""
        return self.ended(self.submit(self.define(list(command), **properties)))

    def job(self, job_id):
        return self.batch.describe_jobs(jobs=[job_id])["jobs"][0]

    def state(self, job_id, *states, seconds=30):
        def reached():
            job = self.job(job_id)
            return job if job["status"] in states else None

        return wait_for(reached, seconds, f"{job_id} {states}")

    def ended(self, job_id, seconds=30):
        return self.state(job_id, "SUCCEEDED", "FAILED", seconds=seconds)

    def log(self, job, group="/aws/batch/job"):
        stream = job["container"]["logStreamName"]
        logs = self.server.client("logs")
        lines, token = [], {}
        while True:
            page = logs.get_log_events(logGroupName=group, logStreamName=stream, startFromHead=True, **token)
            lines += [event["message"] for event in page["events"]]
            if token.get("nextToken") == page["nextForwardToken"]:
                return lines
            token = {"nextToken": page["nextForwardToken"]}


@pytest.fixture(scope="session")
def shell_image(server, busybox_layout):
    """The AWS name of an image with a shell, in the shared server's ECR."""
    return push(server, busybox_layout, f"shell-{uuid.uuid4().hex[:8]}")


@pytest.fixture
def bench(server, shell_image, name):
    """A queue, a compute environment and an image of the test's own on the shared server."""
    return BatchBench(server, shell_image, name)
