"""AWS Batch with boto3: updates of compute environments whose instances are replaced."""

import json

import pytest

from conftest import ACCOUNT, BatchBench, wait_for
from test_batch_arrays import refused

PATIENT = ["sh", "-c", "trap 'exit 3' TERM; echo up; while true; do sleep 0.1; done"]
INSTANCES = {
    "type": "EC2", "allocationStrategy": "BEST_FIT_PROGRESSIVE", "minvCpus": 0, "maxvCpus": 8, "subnets": ["subnet-1"],
    "securityGroupIds": ["sg-1"], "instanceTypes": ["c5.large"], "instanceRole": "ecsInstanceRole",
}
NEW_TYPES = {"instanceTypes": ["m5.large"]}


class Instances(BatchBench):
    """A bench whose queue runs on instances that can be replaced."""

    def __init__(self, server, image, name, **resources):
        self.server, self.image, self.name, self.platform = server, image, name, "EC2"
        self.batch, self.environment = server.client("batch"), f"{name}-ce"
        self.batch.create_compute_environment(
            computeEnvironmentName=self.environment, type="MANAGED", computeResources={**INSTANCES, **resources})
        self.queue = self.add_queue(f"{name}-q", 1)

    def shown(self):
        return self.batch.describe_compute_environments(computeEnvironments=[self.environment])["computeEnvironments"][0]

    def update(self, policy=None, **change):
        """Changes the environment's resources."""
        more = {"updatePolicy": policy} if policy else {}
        self.batch.update_compute_environment(computeEnvironment=self.environment, computeResources=change, **more)

    def up(self, **submission):
        """A job that runs until it is told to stop, and listens."""
        job = self.submit(self.define(PATIENT, vcpu="1", memory="256"), **submission)
        return self.is_up(job)

    def is_up(self, job):
        self.state(job, "RUNNING")
        wait_for(lambda: self.server.barge("jobs", "logs", job).stdout == "up\n", what=f"{job} up")
        return job

    def instances(self):
        """The types of the instances that there are."""
        environments = json.loads(self.server.barge("queues", "--json").stdout)["environments"]
        return next(set(e["instances"]) for e in environments if e["name"] == self.environment)


@pytest.fixture
def bench(server, shell_image, name):
    return Instances(server, shell_image, name)


def test_new_jobs_go_to_new_instances_while_old_ones_end_their_work(bench):
    old = bench.up()
    bench.update({"jobExecutionTimeoutMinutes": 60}, **NEW_TYPES)
    shown = bench.shown()
    assert (shown["status"], shown["computeResources"]["instanceTypes"]) == ("UPDATING", ["m5.large"])
    assert shown["updatePolicy"] == {"terminateJobsOnUpdate": False, "jobExecutionTimeoutMinutes": 60}
    new = bench.up()
    assert bench.instances() == {"c5.large", "m5.large"}
    assert bench.job(old)["status"] == "RUNNING"
    for change in ({"computeResources": {"maxvCpus": 4}}, {"state": "DISABLED"}):
        message = refused(bench.batch.update_compute_environment, computeEnvironment=bench.environment, **change)
        assert message == "Cannot update, resource is being modified."
    bench.batch.terminate_job(jobId=old, reason="done")
    bench.ended(old)
    assert (bench.shown()["status"], bench.instances()) == ("VALID", {"m5.large"})
    assert bench.job(new)["status"] == "RUNNING"
    bench.update(maxvCpus=4)
    bench.batch.terminate_job(jobId=new, reason="done")


def test_jobs_are_terminated_where_the_policy_says_so_and_tried_again(bench):
    once, again = bench.up(), bench.up(retryStrategy={"attempts": 2})
    bench.update({"terminateJobsOnUpdate": True}, **NEW_TYPES)
    ended = bench.ended(once)
    assert ended["status"] == "FAILED"
    assert ended["statusReason"].startswith("Host EC2 (instance i-") and ended["statusReason"].endswith(") terminated.")
    wait_for(lambda: len(bench.job(again)["attempts"]) == 1)
    bench.is_up(again)
    assert bench.job(again)["attempts"][0]["statusReason"] == ended["statusReason"]
    assert (bench.shown()["status"], bench.instances()) == ("VALID", {"m5.large"})
    bench.batch.terminate_job(jobId=again, reason="done")


def test_a_replacement_outlives_the_server(own_server, busybox_layout, name):
    bench = Instances(own_server, str(busybox_layout), name)
    job = bench.up()
    bench.update(**NEW_TYPES)
    own_server.kill()
    own_server.start()
    assert bench.shown()["status"] == "UPDATING"
    bench.batch = own_server.client("batch")
    bench.batch.terminate_job(jobId=job, reason="done")
    bench.ended(job)
    assert bench.shown()["status"] == "VALID"


@pytest.mark.parametrize(
    "made, change, replaced",
    [
        ({}, {"maxvCpus": 16}, False),
        ({}, {"instanceTypes": ["c5.large"]}, False),
        ({}, {"updateToLatestImageVersion": True}, False),
        ({}, {"ec2Configuration": [{"imageType": "ECS_AL2"}]}, True),
        ({"ec2KeyPair": "mine"}, {"ec2KeyPair": ""}, True),
        ({}, {"tags": {"team": "data"}}, True),
        ({}, {"type": "SPOT", "allocationStrategy": "SPOT_PRICE_CAPACITY_OPTIMIZED"}, True),
    ],
)
def test_what_changes_says_whether_instances_are_replaced(server, shell_image, name, made, change, replaced):
    bench = Instances(server, shell_image, name, **made)
    job = bench.up()
    bench.update(**change)
    assert bench.shown()["status"] == ("UPDATING" if replaced else "VALID")
    bench.batch.terminate_job(jobId=job, reason="done")
    bench.ended(job)


def test_the_policy_is_kept_on_fargate_and_checked(server, shell_image, name):
    fargate = BatchBench(server, shell_image, name)
    shown = lambda: fargate.batch.describe_compute_environments(computeEnvironments=[fargate.environment])["computeEnvironments"][0]
    update = lambda **policy: fargate.batch.update_compute_environment(computeEnvironment=fargate.environment, updatePolicy=policy)
    assert "updatePolicy" not in shown()
    update(terminateJobsOnUpdate=True)
    update(jobExecutionTimeoutMinutes=7)
    assert shown()["updatePolicy"] == {"terminateJobsOnUpdate": True, "jobExecutionTimeoutMinutes": 7}
    assert "jobExecutionTimeoutMinutes" in refused(update, jobExecutionTimeoutMinutes=7201)
    assert (shown()["status"], shown()["updatePolicy"]["jobExecutionTimeoutMinutes"]) == ("VALID", 7)


def test_an_infrastructure_update_needs_what_aws_needs(aws, name):
    batch = aws("batch")
    role = f"arn:aws:iam::{ACCOUNT}:role/mine"
    for suffix, resources, more, word in [
        ("fit", {"allocationStrategy": "BEST_FIT"}, {}, "BEST_FIT"),
        ("role", {}, {"serviceRole": role}, "AWSServiceRoleForBatch"),
    ]:
        environment = f"{name}-{suffix}"
        batch.create_compute_environment(
            computeEnvironmentName=environment, type="MANAGED", computeResources={**INSTANCES, **resources}, **more)
        message = refused(batch.update_compute_environment, computeEnvironment=environment, computeResources=NEW_TYPES)
        assert word in message
        batch.update_compute_environment(computeEnvironment=environment, computeResources={"maxvCpus": 4})
    assert "service-linked" in refused(batch.update_compute_environment, computeEnvironment=f"{name}-fit", serviceRole=role)


@pytest.mark.parametrize(
    "configuration, word",
    [
        ([{"imageType": "ECS_AL2023_NVIDIA"}], "ECS_AL2023_NVIDIA"),
        ([{"imageType": "EKS_AL2023"}], "EKS_AL2023"),
        ([{"imageType": "ECS_AL2023", "imageIdOverride": "ami-1"}], "imageIdOverride"),
        ([{"imageType": "ECS_AL2023", "imageKubernetesVersion": "1.31"}], "imageKubernetesVersion"),
    ],
)
def test_images_that_are_not_there_are_refused_by_name(aws, name, configuration, word):
    resources = {**INSTANCES, "ec2Configuration": configuration}
    create = aws("batch").create_compute_environment
    assert word in refused(create, computeEnvironmentName=name, type="MANAGED", computeResources=resources)
