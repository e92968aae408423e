"""AWS Batch with boto3: scheduling policies, fair shares, consumable resources, snapshots, and many jobs ended at once."""

import uuid

import pytest

from conftest import ACCOUNT, REGION, BatchBench, wait_for
from test_batch_arrays import pages, refused

PATIENT = ["sh", "-c", "trap exit TERM; while true; do sleep 0.05; done"]


def arn(kind, name):
    return f"arn:aws:batch:{REGION}:{ACCOUNT}:{kind}/{name}"


@pytest.fixture
def narrow(server, shell_image, name):
    """An environment in which one job runs at a time."""
    return BatchBench(server, shell_image, name, vcpus=1)


@pytest.fixture
def fair(narrow, name):
    """The narrow environment with a fair-share queue."""
    policy = narrow.batch.create_scheduling_policy(
        name=name, fairsharePolicy={"shareDecaySeconds": 3600, "shareDistribution": [{"shareIdentifier": "a", "weightFactor": 1}]}
    )["arn"]
    narrow.fair = f"{name}-fair"
    narrow.policy = policy
    narrow.batch.create_job_queue(
        jobQueueName=narrow.fair, priority=1, schedulingPolicyArn=policy,
        computeEnvironmentOrder=[{"order": 1, "computeEnvironment": narrow.environment}],
    )
    return narrow


class TestPolicies:
    def test_they_are_made_listed_changed_and_deleted(self, aws, name):
        batch = aws("batch")
        made = [batch.create_scheduling_policy(name=f"{name}-{n}", fairsharePolicy={})["arn"] for n in range(3)]
        found = [policy["arn"] for page in pages(batch.list_scheduling_policies, "schedulingPolicies", maxResults=2) for policy in page]
        assert set(made) <= set(found)
        batch.update_scheduling_policy(arn=made[0], fairsharePolicy={"computeReservation": 5})
        shown = batch.describe_scheduling_policies(arns=made)["schedulingPolicies"]
        assert [policy["fairsharePolicy"].get("computeReservation") for policy in shown] == [5, None, None]
        for policy in made:
            batch.delete_scheduling_policy(arn=policy)
        assert batch.describe_scheduling_policies(arns=made)["schedulingPolicies"] == []

    @pytest.mark.parametrize(
        "policy, word",
        [
            ({"shareDecaySeconds": 604801}, "shareDecaySeconds"),
            ({"computeReservation": 100}, "computeReservation"),
            ({"shareDistribution": [{"shareIdentifier": "a-b"}]}, "a-b"),
            ({"shareDistribution": [{"shareIdentifier": "a", "weightFactor": 0}]}, "weightFactor"),
            ({"shareDistribution": [{"shareIdentifier": "a*"}, {"shareIdentifier": "ab"}]}, "overlap"),
            ({"shareDistribution": [{"shareIdentifier": f"a{n}"} for n in range(501)]}, "500"),
        ],
    )
    def test_wrong_ones_are_refused(self, aws, name, policy, word):
        assert word in refused(aws("batch").create_scheduling_policy, name=name, fairsharePolicy=policy)

    def test_a_policy_in_use_stays_and_queues_keep_theirs(self, fair):
        batch = fair.batch
        assert "job queue" in refused(batch.delete_scheduling_policy, arn=fair.policy)
        assert "can't be added" in refused(batch.update_job_queue, jobQueue=fair.queue, schedulingPolicyArn=fair.policy)
        missing = arn("scheduling-policy", "nobody")
        assert missing in refused(batch.update_job_queue, jobQueue=fair.fair, schedulingPolicyArn=missing)


class TestShares:
    def test_the_share_that_used_less_goes_first_and_the_snapshot_says_so(self, fair):
        definition = fair.define(PATIENT, vcpu="1", memory="2048")
        submit = lambda share, **more: fair.submit(definition, queue=fair.fair, shareIdentifier=share, **more)
        running = submit("a")
        fair.state(running, "RUNNING")
        late, urgent, other = submit("a"), submit("a", schedulingPriorityOverride=10), submit("b")
        snapshot = fair.batch.get_job_queue_snapshot(jobQueue=fair.fair)
        assert [job["jobArn"] for job in snapshot["frontOfQueue"]["jobs"]] == [arn("job", job) for job in (other, urgent, late)]
        used = snapshot["queueUtilization"]
        assert used["totalCapacityUsage"] == [{"capacityUnit": "VCPU", "quantity": 1.0}]
        assert used["fairshareUtilization"]["activeShareCount"] == 2
        by_share = lambda **more: fair.batch.list_jobs(
            jobQueue=fair.fair, filters=[{"name": "SHARE_IDENTIFIER", "values": ["a"]}], **more)["jobSummaryList"]
        assert {job["jobId"] for job in by_share()} == {running, late, urgent}
        assert {job["jobId"] for job in by_share(jobStatus="RUNNABLE")} == {late, urgent}
        fair.batch.terminate_job(jobId=running, reason="end")
        fair.state(other, "RUNNING")
        answer = fair.batch.terminate_jobs(jobs=[late, urgent, other, "x"], reason="end")
        assert (set(answer["successful"]), [error["job"] for error in answer["errors"]]) == ({late, urgent, other}, ["x"])
        for job in (late, urgent, other):
            assert fair.ended(job)["isTerminated"]

    def test_a_fair_share_queue_needs_a_share_and_others_take_none(self, fair):
        definition = fair.define(["true"])
        assert "shareIdentifier" in refused(fair.batch.submit_job, jobName="x", jobQueue=fair.fair, jobDefinition=definition)
        assert "shareIdentifier" in refused(
            fair.batch.submit_job, jobName="x", jobQueue=fair.queue, jobDefinition=definition, shareIdentifier="a")
        assert "schedulingPriorityOverride" in refused(
            fair.batch.submit_job, jobName="x", jobQueue=fair.fair, jobDefinition=definition, shareIdentifier="a",
            schedulingPriorityOverride=10000)


class TestConsumables:
    def test_jobs_wait_for_what_is_used_up(self, bench, name):
        batch = bench.batch
        batch.create_consumable_resource(consumableResourceName=name, totalQuantity=1, resourceType="REPLENISHABLE")
        needs = dict(consumableResourcePropertiesOverride={"consumableResourceList": [{"consumableResource": name, "quantity": 1}]})
        definition = bench.define(PATIENT)
        first = bench.submit(definition, **needs)
        bench.state(first, "RUNNING")
        second = bench.submit(definition, **needs)
        shown = batch.describe_consumable_resource(consumableResource=name)
        assert (shown["totalQuantity"], shown["inUseQuantity"], shown["availableQuantity"]) == (1, 1, 0)
        assert bench.job(second)["status"] == "RUNNABLE"
        listed = batch.list_jobs_by_consumable_resource(
            consumableResource=name, filters=[{"name": "JOB_STATUS", "values": ["RUNNABLE"]}])["jobs"]
        assert [job["jobArn"] for job in listed] == [arn("job", second)]
        found = pages(batch.list_jobs_by_consumable_resource, "jobs", consumableResource=name, maxResults=1)
        assert [len(page) for page in found] == [1, 1]
        assert "need" in refused(batch.delete_consumable_resource, consumableResource=name)
        token = uuid.uuid4().hex
        for _ in range(2):
            batch.update_consumable_resource(consumableResource=name, operation="ADD", quantity=1, clientToken=token)
        assert batch.describe_consumable_resource(consumableResource=name)["totalQuantity"] == 2
        bench.state(second, "RUNNING")
        batch.terminate_jobs(jobs=[first, second], reason="end")
        for job in (first, second):
            bench.ended(job)
        assert batch.describe_consumable_resource(consumableResource=name)["availableQuantity"] == 2
        batch.delete_consumable_resource(consumableResource=name)
        assert name in refused(batch.describe_consumable_resource, consumableResource=name)

    def test_what_is_not_replenished_is_used_up(self, bench, name):
        bench.batch.create_consumable_resource(consumableResourceName=name, totalQuantity=3, resourceType="NON_REPLENISHABLE")
        needs = {"consumableResourceList": [{"consumableResource": name, "quantity": 2}]}
        bench.ended(bench.submit(bench.define(["true"]), consumableResourcePropertiesOverride=needs))
        shown = wait_for(lambda: bench.batch.describe_consumable_resource(consumableResource=name))
        assert (shown["totalQuantity"], shown["inUseQuantity"]) == (1, 0)

    def test_they_are_listed_and_wrong_ones_refused(self, aws, name):
        batch = aws("batch")
        for n in range(3):
            batch.create_consumable_resource(consumableResourceName=f"{name}-{n}", totalQuantity=n)
        filters = [{"name": "CONSUMABLE_RESOURCE_NAME", "values": [f"{name}*"]}]
        found = pages(batch.list_consumable_resources, "consumableResources", filters=filters, maxResults=2)
        assert [[summary["totalQuantity"] for summary in page] for page in found] == [[0, 1], [2]]
        assert "exists" in refused(batch.create_consumable_resource, consumableResourceName=f"{name}-0")
        assert "resourceType" in refused(batch.create_consumable_resource, consumableResourceName="x", resourceType="ODD")
        update = dict(consumableResource=f"{name}-2", quantity=3)
        assert "2" in refused(batch.update_consumable_resource, operation="REMOVE", **update)
        assert "operation" in refused(batch.update_consumable_resource, operation="DOUBLE", **update)


class TestBulk:
    def test_waiting_jobs_are_cancelled_together(self, narrow):
        definition = narrow.define(PATIENT, vcpu="1", memory="2048")
        running, *waiting = [narrow.submit(definition) for _ in range(4)]
        narrow.state(running, "RUNNING")
        nobody = str(uuid.uuid4())
        answer = narrow.batch.cancel_jobs(jobs=[running, nobody, *waiting], reason="not needed")
        assert (len(answer["successful"]), answer["errors"]) == (5, [])
        assert all(narrow.ended(job)["isCancelled"] for job in waiting)
        assert narrow.job(running)["status"] == "RUNNING"
        assert "50" in refused(narrow.batch.cancel_jobs, jobs=[nobody] * 51, reason="x")
        narrow.batch.terminate_job(jobId=running, reason="end")
        narrow.ended(running)
