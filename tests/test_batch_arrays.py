"""AWS Batch with boto3: array jobs, dependencies, multi-node jobs and retries by rule, with real containers."""

import pytest
from botocore.exceptions import ClientError

from conftest import wait_for


def refused(call, **arguments):
    with pytest.raises(ClientError) as error:
        call(**arguments)
    answer = error.value.response["Error"]
    assert answer["Code"] == "ClientException", answer
    return answer["Message"]


def pages(call, key, **arguments):
    """Every page of a list, asked for one by one."""
    token, found = {}, []
    while True:
        page = call(**arguments, **token)
        found.append(page[key])
        if "nextToken" not in page:
            return found
        token = {"nextToken": page["nextToken"]}


@pytest.fixture
def ec2(bench, name):
    """The bench's batch client, a queue of instances, and a definition of nodes that say who they are."""
    batch = bench.batch
    batch.create_compute_environment(
        computeEnvironmentName=f"{name}-ec2", type="MANAGED",
        computeResources={
            "type": "EC2", "maxvCpus": 16, "subnets": ["subnet-1"], "securityGroupIds": ["sg-1"],
            "instanceTypes": ["c5.large", "c5.xlarge"], "instanceRole": "ecsInstanceRole",
        },
    )
    batch.create_job_queue(
        jobQueueName=f"{name}-ec2q", priority=1,
        computeEnvironmentOrder=[{"order": 1, "computeEnvironment": f"{name}-ec2"}],
    )
    return f"{name}-ec2q"


class TestArrays:
    def test_each_child_knows_its_index_and_the_parent_counts_them(self, bench):
        definition = bench.define(["sh", "-c", "echo $AWS_BATCH_JOB_ARRAY_INDEX; exit $((AWS_BATCH_JOB_ARRAY_INDEX == 3))"])
        parent = bench.submit(definition, arrayProperties={"size": 5})
        assert bench.job(parent)["status"] in ("PENDING", "FAILED")
        ended = bench.ended(parent, seconds=60)
        assert ended["status"] == "FAILED"
        summary = ended["arrayProperties"]["statusSummary"]
        assert (summary["SUCCEEDED"], summary["FAILED"], ended["arrayProperties"]["size"]) == (4, 1, 5)
        for index in range(5):
            child = bench.job(f"{parent}:{index}")
            assert child["arrayProperties"]["index"] == index
            assert child["status"] == ("FAILED" if index == 3 else "SUCCEEDED")
            assert bench.log(child) == [str(index)]

    def test_children_are_listed_by_state_in_pages(self, bench):
        parent = bench.submit(bench.define(["true"]), arrayProperties={"size": 7})
        bench.ended(parent, seconds=60)
        found = pages(bench.batch.list_jobs, "jobSummaryList", arrayJobId=parent, jobStatus="SUCCEEDED", maxResults=3)
        assert [len(page) for page in found] == [3, 3, 1]
        assert [job["jobId"] for page in found for job in page] == [f"{parent}:{index}" for index in range(7)]
        assert bench.batch.list_jobs(arrayJobId=parent, jobStatus="FAILED")["jobSummaryList"] == []
        listed = bench.batch.list_jobs(jobQueue=bench.queue, jobStatus="SUCCEEDED")["jobSummaryList"]
        assert [job["jobId"] for job in listed] == [parent]

    def test_children_that_have_not_started_are_there_and_can_be_cancelled(self, server, shell_image, name):
        from conftest import BatchBench
        bench = BatchBench(server, shell_image, name, vcpus=1)
        init = {"initProcessEnabled": True}  # so that SIGTERM ends it at once
        patient = bench.define(["sleep", "60"], vcpu="1", memory="2048", linuxParameters=init)
        parent = bench.submit(patient, arrayProperties={"size": 100})
        bench.state(f"{parent}:0", "RUNNING")
        assert bench.job(f"{parent}:99")["status"] == "RUNNABLE"
        bench.batch.cancel_job(jobId=f"{parent}:99", reason="not needed")
        assert bench.job(f"{parent}:99")["statusReason"] == "not needed"
        assert bench.job(parent)["arrayProperties"]["statusSummary"]["RUNNABLE"] == 98
        bench.batch.terminate_job(jobId=parent, reason="enough")
        ended = bench.ended(parent, seconds=60)
        assert ended["arrayProperties"]["statusSummary"]["FAILED"] == 100
        assert bench.job(f"{parent}:50")["statusReason"] == "enough"
        assert bench.batch.describe_jobs(jobs=[f"{parent}:100"])["jobs"] == []

    @pytest.mark.parametrize("size", [1, 10001])
    def test_sizes_have_bounds(self, bench, size):
        message = refused(
            bench.batch.submit_job, jobName="x", jobQueue=bench.queue, jobDefinition=bench.define(["true"]),
            arrayProperties={"size": size},
        )
        assert "between 2 and 10000" in message


class TestDependencies:
    def test_a_job_waits_for_another(self, bench):
        first = bench.submit(bench.define(["sleep", "1"]))
        second = bench.submit(bench.define(["true"]), dependsOn=[{"jobId": first}])
        assert bench.job(second)["status"] == "PENDING"
        done = bench.ended(second)
        assert done["status"] == "SUCCEEDED" and done["startedAt"] >= bench.job(first)["stoppedAt"]
        assert done["dependsOn"] == [{"jobId": first}]

    def test_a_failed_job_fails_those_that_wait_for_it(self, bench):
        first = bench.submit(bench.define(["false"]))
        second = bench.submit(bench.define(["true"]), dependsOn=[{"jobId": first}])
        ended = bench.ended(second)
        assert (ended["status"], ended["statusReason"]) == ("FAILED", "Dependent Job failed")
        assert bench.ended(bench.submit(bench.define(["true"]), dependsOn=[{"jobId": first}]))["status"] == "FAILED"

    def test_children_wait_for_children(self, bench):
        array = dict(arrayProperties={"size": 3})
        first = bench.submit(bench.define(["sh", "-c", "exit $((AWS_BATCH_JOB_ARRAY_INDEX == 1))"]), **array)
        second = bench.submit(bench.define(["true"]), dependsOn=[{"jobId": first, "type": "N_TO_N"}], **array)
        bench.ended(second, seconds=60)
        assert [bench.job(f"{second}:{i}")["status"] for i in range(3)] == ["SUCCEEDED", "FAILED", "SUCCEEDED"]

    def test_a_sequential_array_runs_in_order(self, bench):
        job = bench.submit(bench.define(["true"]), arrayProperties={"size": 4}, dependsOn=[{"type": "SEQUENTIAL"}])
        assert bench.ended(job, seconds=60)["status"] == "SUCCEEDED"
        children = [bench.job(f"{job}:{i}") for i in range(4)]
        assert all(a["stoppedAt"] <= b["startedAt"] for a, b in zip(children, children[1:]))

    def test_what_is_not_there_can_not_be_waited_for(self, bench):
        definition = bench.define(["true"])
        submit = dict(jobName="x", jobQueue=bench.queue, jobDefinition=definition)
        nobody = "0b1f9c7a-0000-4bcd-8ef0-00000000002a"
        assert nobody in refused(bench.batch.submit_job, dependsOn=[{"jobId": nobody}], **submit)
        assert "20" in refused(bench.batch.submit_job, dependsOn=[{"jobId": nobody}] * 21, **submit)
        assert "SEQUENTIAL" in refused(bench.batch.submit_job, dependsOn=[{"type": "SEQUENTIAL"}], **submit)


class TestRetries:
    def test_the_first_rule_that_matches_decides(self, bench):
        definition = bench.define(["sh", "-c", "exit $AWS_BATCH_JOB_ATTEMPT"])
        rules = [{"onExitCode": "1", "action": "retry"}, {"onExitCode": "*", "action": "EXIT"}]
        job = bench.ended(bench.submit(definition, retryStrategy={"attempts": 5, "evaluateOnExit": rules}))
        assert [attempt["container"]["exitCode"] for attempt in job["attempts"]] == [1, 2]

    def test_wrong_strategies_are_refused(self, bench):
        definition = bench.define(["true"])
        for strategy, word in [
            ({"attempts": 11}, "attempts"),
            ({"attempts": 2, "evaluateOnExit": [{"onExitCode": "x", "action": "EXIT"}]}, "onExitCode"),
            ({"attempts": 2, "evaluateOnExit": [{"onReason": "x" * 513, "action": "EXIT"}]}, "onReason"),
            ({"attempts": 2, "evaluateOnExit": [{"onReason": "x", "action": "EXIT"}] * 6}, "evaluateOnExit"),
        ]:
            message = refused(
                bench.batch.submit_job, jobName="x", jobQueue=bench.queue, jobDefinition=definition, retryStrategy=strategy
            )
            assert word in message, message


class TestNodes:
    def define(self, bench, name, command):
        init = {"initProcessEnabled": True}  # so that SIGTERM ends it at once
        container = {"image": bench.image, "vcpus": 1, "memory": 64, "command": command, "linuxParameters": init}
        bench.batch.register_job_definition(
            jobDefinitionName=name, type="multinode",
            nodeProperties={"numNodes": 3, "mainNode": 0, "nodeRangeProperties": [{"targetNodes": "0:", "container": container}]},
        )

    def test_the_main_nodes_end_is_the_jobs(self, bench, ec2, name):
        script = 'echo $AWS_BATCH_JOB_NODE_INDEX of $AWS_BATCH_JOB_NUM_NODES; [ $AWS_BATCH_JOB_NODE_INDEX = 0 ] || sleep 60'
        self.define(bench, name, ["sh", "-c", script])
        job = bench.submit(name, queue=ec2)
        ended = bench.ended(job, seconds=60)
        assert (ended["status"], ended["nodeProperties"]["numNodes"]) == ("SUCCEEDED", 3)
        nodes = bench.batch.describe_jobs(jobs=[f"{job}#{n}" for n in range(4)])["jobs"]
        assert [node["nodeDetails"] for node in nodes] == [{"nodeIndex": n, "isMainNode": n == 0} for n in range(3)]
        assert bench.log(nodes[0]) == ["0 of 3"]
        listed = pages(bench.batch.list_jobs, "jobSummaryList", multiNodeJobId=job, jobStatus="SUCCEEDED", maxResults=2)
        assert [len(page) for page in listed] == [2, 1]
        assert "can't be ended by itself" in refused(bench.batch.terminate_job, jobId=f"{job}#1", reason="x")

    def test_overrides_change_nodes(self, bench, ec2, name):
        self.define(bench, name, ["true"])
        override = {"targetNodes": "0:", "containerOverrides": {"command": ["sh", "-c", "echo $A"], "environment": [{"name": "A", "value": "b"}]}}
        job = bench.submit(name, queue=ec2, nodeOverrides={"numNodes": 2, "nodePropertyOverrides": [override]})
        assert bench.ended(job, seconds=60)["nodeProperties"]["numNodes"] == 2
        assert bench.log(bench.job(f"{job}#0")) == ["b"]

    def test_desired_vcpus_follow_the_demand(self, bench, ec2, name):
        def desired():
            shown = bench.batch.describe_compute_environments(computeEnvironments=[f"{name}-ec2"])
            return shown["computeEnvironments"][0]["computeResources"]["desiredvCpus"]

        assert desired() == 0
        self.define(bench, name, ["true"])
        bench.ended(bench.submit(name, queue=ec2), seconds=60)
        assert wait_for(desired) >= 4
