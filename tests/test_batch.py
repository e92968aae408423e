"""AWS Batch with boto3: jobs really run, in containers, in the order and within the limits that were set."""

import json
import time

import pytest
from botocore.exceptions import ClientError

from conftest import ACCOUNT, REGION, BatchBench, push, wait_for


# Runs until it is told to stop. (A program that is process 1 and has no handler never hears SIGTERM.)
PATIENT = ["sh", "-c", "trap exit TERM; while true; do sleep 0.05; done"]


def refused(call, **arguments):
    with pytest.raises(ClientError) as error:
        call(**arguments)
    return error.value.response["Error"]


class TestJobs:
    def test_a_job_runs_its_command_and_its_lines_are_in_the_log(self, bench):
        job = bench.run("sh", "-c", "echo one; echo two >&2; echo three")
        assert (job["status"], job["container"]["exitCode"]) == ("SUCCEEDED", 0)
        assert job["statusReason"] == "Essential container in task exited"
        assert sorted(bench.log(job)) == ["one", "three", "two"]
        assert job["createdAt"] <= job["startedAt"] <= job["stoppedAt"]
        assert len(job["attempts"]) == 1

    def test_a_failing_command_fails_the_job_with_its_exit_code(self, bench):
        job = bench.run("sh", "-c", "exit 7")
        assert (job["status"], job["container"]["exitCode"]) == ("FAILED", 7)
        assert job["attempts"][0]["container"]["exitCode"] == 7

    def test_retries_run_the_command_again(self, bench):
        job = bench.run("false", retryStrategy={"attempts": 3})
        assert (job["status"], [a["container"]["exitCode"] for a in job["attempts"]]) == ("FAILED", [1, 1, 1])
        streams = {attempt["container"]["logStreamName"] for attempt in job["attempts"]}
        assert len(streams) == 3

    def test_parameters_and_overrides_reach_the_command(self, bench):
        definition = bench.define(["echo", "Ref::greeting", "Ref::name"], parameters={"greeting": "hello", "name": "nobody"})
        job = bench.ended(bench.submit(definition, parameters={"name": "barge"}))
        assert bench.log(job) == ["hello barge"]
        job = bench.ended(
            bench.submit(
                definition,
                containerOverrides={
                    "command": ["sh", "-c", "echo $COLOUR"],
                    "environment": [{"name": "COLOUR", "value": "blue"}],
                },
            )
        )
        assert bench.log(job) == ["blue"]

    def test_the_environment_is_the_one_that_aws_gives(self, bench):
        job = bench.run("env")
        env = dict(line.split("=", 1) for line in bench.log(job))
        assert env["AWS_BATCH_JOB_ID"] == job["jobId"]
        assert env["AWS_BATCH_JOB_ATTEMPT"] == "1"
        assert env["AWS_BATCH_JQ_NAME"] == bench.queue
        assert env["AWS_BATCH_CE_NAME"] == bench.environment
        assert env["AWS_ENDPOINT_URL"] == bench.server.endpoint
        assert env["AWS_REGION"] == REGION
        assert "AWS_SECRET_ACCESS_KEY" not in env

    def test_the_job_role_gives_credentials(self, bench, name):
        trust = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"Service": "ecs-tasks.amazonaws.com"}, "Action": "sts:AssumeRole"}]}
        iam = bench.server.client("iam")
        role = iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(trust))["Role"]["Arn"]
        script = 'wget -q -O - --header "Authorization: $AWS_CONTAINER_AUTHORIZATION_TOKEN" "$AWS_CONTAINER_CREDENTIALS_FULL_URI"'
        job = bench.run("sh", "-c", script, jobRoleArn=role)
        keys = json.loads("".join(bench.log(job)))
        assert keys["RoleArn"] == role
        sts = bench.server.client(
            "sts", aws_access_key_id=keys["AccessKeyId"], aws_secret_access_key=keys["SecretAccessKey"],
            aws_session_token=keys["Token"],
        )
        assert f"assumed-role/{name}/" in sts.get_caller_identity()["Arn"]

    def test_the_credentials_need_the_attempts_token(self, bench, name):
        trust = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"Service": "ecs-tasks.amazonaws.com"}, "Action": "sts:AssumeRole"}]}
        role = bench.server.client("iam").create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(trust))["Role"]["Arn"]
        job = bench.run("sh", "-c", 'wget -q -O - --header "Authorization: wrong" "$AWS_CONTAINER_CREDENTIALS_FULL_URI" || echo refused', jobRoleArn=role)
        assert bench.log(job)[-1] == "refused"

    def test_a_job_that_takes_too_much_memory_is_killed_for_it(self, bench):
        job = bench.run("sh", "-c", "x=a; while true; do x=$x$x; done")
        assert job["status"] == "FAILED"
        assert job["container"]["reason"] == "OutOfMemoryError: Container killed due to memory usage"
        assert job["container"]["exitCode"] == 137

    def test_an_image_that_is_not_there_fails_the_attempt(self, bench):
        for image in (f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/nowhere:latest", bench.image.replace(":latest", ":missing")):
            bench.image, kept = image, bench.image
            job = bench.run("true")
            bench.image = kept
            assert job["status"] == "FAILED"
            assert job["container"]["reason"].startswith("CannotPullContainerError: "), job["container"]

    def test_an_image_may_be_a_path_of_this_machine(self, bench, busybox_layout):
        bench.image, kept = str(busybox_layout), bench.image
        job = bench.run("echo", "local")
        bench.image = kept
        assert bench.log(job) == ["local"]

    def test_a_command_that_is_not_there_fails_the_attempt(self, bench):
        job = bench.run("no-such-program")
        assert job["status"] == "FAILED"
        assert job["container"]["reason"].startswith("CannotStartContainerError: "), job["container"]

    def test_a_gigabyte_of_output_hurts_nobody(self, bench):
        job = bench.ended(bench.submit(bench.define(["sh", "-c", "head -c 1000000000 /dev/zero; echo; echo end"])), seconds=120)
        assert job["status"] == "SUCCEEDED"
        assert bench.run("true")["status"] == "SUCCEEDED"

    def test_many_lines_arrive_once_each_and_in_order(self, bench):
        job = bench.run("seq", "1", "20000")
        assert bench.log(job) == [str(n) for n in range(1, 20001)]

    def test_a_user_of_the_image_may_be_named(self, bench):
        job = bench.run("id", "-u", user="worker")
        assert bench.log(job) == ["1234"]

    def test_a_read_only_root_can_not_be_written(self, bench):
        job = bench.run("sh", "-c", "echo x > /file || echo refused", readonlyRootFilesystem=True)
        assert bench.log(job)[-1] == "refused"

    def test_a_container_has_no_more_rights_than_dockers(self, bench):
        job = bench.run("sh", "-c", "cat /proc/self/status")
        status = dict(line.split(":", 1) for line in bench.log(job) if ":" in line)
        assert int(status["CapEff"], 16) & ~0xA80425FB == 0
        assert status["NoNewPrivs"].strip() == "1"


class TestStopping:
    def test_terminate_stops_a_running_job_with_the_reason(self, bench):
        job = bench.submit(bench.define(["sh", "-c", "trap 'exit 3' TERM; echo up; while true; do sleep 0.1; done"]))
        bench.state(job, "RUNNING")
        wait_for(lambda: "up" in bench.log(bench.job(job)) if bench.job(job)["container"].get("logStreamName") else None)
        bench.batch.terminate_job(jobId=job, reason="enough")
        ended = bench.ended(job)
        assert (ended["status"], ended["statusReason"], ended["isTerminated"]) == ("FAILED", "enough", True)

    def test_cancel_ends_a_waiting_job_and_leaves_a_running_one(self, server, shell_image, name):
        bench = BatchBench(server, shell_image, name, vcpus=1)
        sleep = bench.define(PATIENT, vcpu="1", memory="2048")
        first, second = bench.submit(sleep), bench.submit(sleep)
        bench.state(first, "RUNNING")
        bench.batch.cancel_job(jobId=second, reason="not needed")
        ended = bench.ended(second)
        assert (ended["status"], ended["statusReason"]) == ("FAILED", "not needed")
        bench.batch.cancel_job(jobId=first, reason="too late")
        assert bench.job(first)["status"] == "RUNNING"
        bench.batch.terminate_job(jobId=first, reason="end")
        bench.ended(first)

    def test_timeouts_below_a_minute_are_refused(self, bench):
        definition = bench.define(["true"])
        error = refused(bench.batch.submit_job, jobName="x", jobQueue=bench.queue, jobDefinition=definition, timeout={"attemptDurationSeconds": 59})
        assert error["Code"] == "ClientException"


class TestScheduling:
    def test_vcpus_are_never_exceeded(self, server, shell_image, name):
        bench = BatchBench(server, shell_image, name, vcpus=1)
        definition = bench.define(["sleep", "0.2"], vcpu="0.5", memory="1024")
        jobs = [bench.ended(job) for job in [bench.submit(definition) for _ in range(6)]]
        moments = sorted({j["startedAt"] for j in jobs} | {j["stoppedAt"] for j in jobs})
        assert max(sum(j["startedAt"] <= m < j["stoppedAt"] for j in jobs) for m in moments) <= 2

    def test_jobs_of_a_queue_start_in_the_order_of_their_submission(self, server, shell_image, name):
        bench = BatchBench(server, shell_image, name, vcpus=1)
        definition = bench.define(["true"], vcpu="1", memory="2048")
        jobs = [bench.ended(job) for job in [bench.submit(definition) for _ in range(5)]]
        started = [job["startedAt"] for job in jobs]
        assert started == sorted(started)

    def test_the_queue_of_higher_priority_goes_first(self, server, shell_image, name):
        bench = BatchBench(server, shell_image, name, vcpus=1)
        urgent = bench.add_queue(f"{name}-urgent", 100)
        blocker = bench.submit(bench.define(["sleep", "1"], vcpu="1", memory="2048"))
        bench.state(blocker, "RUNNING")
        definition = bench.define(["true"], vcpu="1", memory="2048")
        low = [bench.submit(definition) for _ in range(2)]
        high = [bench.submit(definition, queue=urgent) for _ in range(2)]
        start = {job: bench.ended(job)["startedAt"] for job in low + high}
        assert max(start[job] for job in high) <= min(start[job] for job in low)

    def test_list_jobs_lists_running_ones_unless_told_otherwise(self, bench):
        done = bench.run("true")["jobId"]
        running = bench.submit(bench.define(PATIENT))
        bench.state(running, "RUNNING")
        listed = [j["jobId"] for j in bench.batch.list_jobs(jobQueue=bench.queue)["jobSummaryList"]]
        assert listed == [running]
        ended = bench.batch.list_jobs(jobQueue=bench.queue, jobStatus="SUCCEEDED")["jobSummaryList"]
        assert [j["jobId"] for j in ended] == [done]
        bench.batch.terminate_job(jobId=running, reason="end")
        bench.ended(running)


class TestDefinitions:
    def test_each_registration_is_a_revision(self, bench, name):
        for command in (["true"], ["false"]):
            bench.define(command, name=name)
        found = bench.batch.describe_job_definitions(jobDefinitionName=name, status="ACTIVE")["jobDefinitions"]
        assert sorted(d["revision"] for d in found) == [1, 2]
        assert bench.ended(bench.submit(name))["status"] == "FAILED"
        assert bench.ended(bench.submit(f"{name}:1"))["status"] == "SUCCEEDED"
        bench.batch.deregister_job_definition(jobDefinition=f"{name}:2")
        assert bench.ended(bench.submit(name))["status"] == "SUCCEEDED"

    @pytest.mark.parametrize("vcpu, memory", [("0.25", "4096"), ("0.3", "512"), ("4", "1024"), ("1", "100")])
    def test_pairs_that_fargate_does_not_have_are_refused(self, bench, vcpu, memory):
        with pytest.raises(ClientError) as error:
            bench.define(["true"], vcpu=vcpu, memory=memory)
        assert error.value.response["Error"]["Code"] == "ClientException"

    def test_what_is_not_there_is_refused_by_name(self, bench):
        definition = bench.define(["true"])
        for arguments, word in [
            (dict(jobQueue="nowhere", jobDefinition=definition), "nowhere"),
            (dict(jobQueue=bench.queue, jobDefinition="nothing"), "nothing"),
        ]:
            error = refused(bench.batch.submit_job, jobName="x", **arguments)
            assert error["Code"] == "ClientException" and word in error["Message"], error
        assert refused(bench.batch.submit_job, jobName="a b", jobQueue=bench.queue, jobDefinition=definition)["Code"] == "ClientException"


class TestEnvironmentsAndQueues:
    def test_deletion_needs_a_disabled_and_unused_thing(self, server, shell_image, name):
        bench = BatchBench(server, shell_image, name)
        batch = bench.batch
        assert refused(batch.delete_job_queue, jobQueue=bench.queue)["Code"] == "ClientException"
        assert refused(batch.delete_compute_environment, computeEnvironment=bench.environment)["Code"] == "ClientException"
        batch.update_job_queue(jobQueue=bench.queue, state="DISABLED")
        assert refused(batch.submit_job, jobName="x", jobQueue=bench.queue, jobDefinition=bench.define(["true"]))["Code"] == "ClientException"
        batch.delete_job_queue(jobQueue=bench.queue)
        wait_for(lambda: not batch.describe_job_queues(jobQueues=[bench.queue])["jobQueues"])
        batch.update_compute_environment(computeEnvironment=bench.environment, state="DISABLED")
        batch.delete_compute_environment(computeEnvironment=bench.environment)
        wait_for(lambda: not batch.describe_compute_environments(computeEnvironments=[bench.environment])["computeEnvironments"])

    def test_tags_are_kept_on_every_resource(self, bench):
        arn = bench.batch.describe_job_queues(jobQueues=[bench.queue])["jobQueues"][0]["jobQueueArn"]
        bench.batch.tag_resource(resourceArn=arn, tags={"team": "a", "x": "y"})
        bench.batch.untag_resource(resourceArn=arn, tagKeys=["x"])
        assert bench.batch.list_tags_for_resource(resourceArn=arn)["tags"] == {"team": "a"}


class TestRestart:
    def test_a_running_job_outlives_the_server(self, own_server, busybox_layout, name):
        bench = BatchBench(own_server, push(own_server, busybox_layout, name), name)
        job = bench.submit(bench.define(["sh", "-c", "for i in 1 2 3 4 5 6; do echo $i; sleep 0.3; done"]))
        waiting = bench.submit(bench.define(["echo", "after"]))
        bench.state(job, "RUNNING")
        own_server.kill()
        time.sleep(0.5)
        own_server.start()
        ended = bench.ended(job)
        assert (ended["status"], len(ended["attempts"])) == ("SUCCEEDED", 1)
        assert bench.log(ended) == ["1", "2", "3", "4", "5", "6"]
        assert bench.ended(waiting)["status"] == "SUCCEEDED"
