"""`barge jobs`, `barge queues` and `barge spot` against a running server, and what Prometheus reads."""

import json
import subprocess
import urllib.error
import urllib.request

import pytest

from conftest import ACCOUNT, BARGE, BatchBench, push, wait_for

# Runs until it is told to stop.
PATIENT = ["sh", "-c", "trap 'exit 9' TERM; echo up; while true; do sleep 0.05; done"]


def answer(server, *arguments):
    return json.loads(server.barge(*arguments, "--json").stdout)


def rows(text):
    """A table's lines as lists of words."""
    return [line.split() for line in text.splitlines()]


def only(items):
    assert len(items) == 1, items
    return items[0]


def metrics(server):
    with urllib.request.urlopen(f"{server.endpoint}/_barge/metrics", timeout=5) as page:
        assert page.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
        samples = {}
        for line in page.read().decode().splitlines():
            if not line.startswith("#"):
                series, value = line.rsplit(" ", 1)
                samples[series] = float(value)
        return samples


def sample(server, metric, **labels):
    """The one sample of a metric with these labels."""
    wanted = [f'{name}="{value}"' for name, value in labels.items()]
    found = [
        value for series, value in metrics(server).items()
        if series.split("{")[0] == metric and all(label in series for label in wanted)
    ]
    return only(found)


def up(bench, job):
    """Waits until a patient job hears signals: a process without a handler, being the first of its container, hears none."""
    bench.state(job, "RUNNING")
    wait_for(lambda: bench.server.barge("jobs", "logs", job).stdout == "up\n", what=f"{job} up")
    return job


class TestList:
    def test_jobs_are_listed_newest_first_as_a_table_and_as_json(self, bench):
        jobs = [bench.ended(bench.submit(bench.define([program]), jobName=f"job-{program}")) for program in ("true", "false")]
        listed = answer(bench.server, "jobs", "--queue", bench.queue)
        assert not listed["more"]
        assert [job["id"] for job in listed["jobs"]] == [job["jobId"] for job in reversed(jobs)]
        newest = listed["jobs"][0]
        assert (newest["name"], newest["queue"], newest["status"], newest["attempts"]) == ("job-false", bench.queue, "FAILED", 1)
        for member in ("createdAt", "startedAt", "stoppedAt"):
            assert newest[member] == jobs[1][member]
        table = rows(bench.server.barge("jobs", "--queue", bench.queue).stdout)
        assert table[0][:4] == ["ID", "NAME", "QUEUE", "STATUS"]
        assert [row[:4] for row in table[1:]] == [
            [job["id"], job["name"], job["queue"], job["status"]] for job in listed["jobs"]
        ]

    def test_by_state_and_number(self, bench):
        definition = bench.define(["true"])
        jobs = [bench.submit(definition) for _ in range(3)]
        for job in jobs:
            bench.ended(job)
        of = ["jobs", "--queue", bench.queue]
        assert len(answer(bench.server, *of, "--status", "succeeded")["jobs"]) == 3
        assert answer(bench.server, *of, "--status", "live")["jobs"] == []
        assert bench.server.barge(*of, "--status", "live").stdout == "No jobs.\n"
        few = answer(bench.server, *of, "--limit", 2)
        assert ([job["id"] for job in few["jobs"]], few["more"]) == ([jobs[2], jobs[1]], True)

    def test_without_a_queue_all_are_listed(self, bench, name):
        other = bench.add_queue(f"{name}-other", 1)
        ids = {bench.submit(bench.define(["true"]), queue=queue) for queue in (bench.queue, other)}
        assert ids <= {job["id"] for job in answer(bench.server, "jobs", "--limit", 1000)["jobs"]}

    @pytest.mark.parametrize(
        "arguments, words",
        [
            (["jobs", "--queue", "nowhere"], "Job queue nowhere does not exist."),
            (["jobs", "--status", "asleep"], "asleep is no state of a job."),
            (["jobs", "why", "7"], "Job 7 does not exist."),
            (["jobs", "why", "00000000-0000-0000-0000-000000000000"], "does not exist"),
            (["jobs", "logs", "00000000-0000-0000-0000-000000000000"], "does not exist"),
            (["spot", "interrupt", "--environment", "nowhere"], "Compute environment nowhere does not exist."),
        ],
    )
    def test_what_is_not_there_is_refused_by_name(self, server, arguments, words):
        done = server.barge(*arguments, check=False)
        assert done.returncode == 1
        assert words in done.stderr

    def test_without_a_server_it_says_so(self, server):
        done = server.barge("jobs", "--endpoint-url", "http://127.0.0.1:9", check=False)
        assert done.returncode == 1
        assert "no server answers on http://127.0.0.1:9" in done.stderr

    def test_unsigned_calls_are_refused(self, server):
        request = urllib.request.Request(f"{server.endpoint}/_barge/batch/jobs", data=b"{}", method="POST")
        with pytest.raises(urllib.error.HTTPError) as error:
            urllib.request.urlopen(request, timeout=5)
        assert error.value.code == 403


class TestWhy:
    def test_a_job_that_waits_says_for_what(self, server, shell_image, name):
        bench = BatchBench(server, shell_image, name, vcpus=1)
        definition = bench.define(PATIENT, vcpu="1", memory="2048")
        first, second = (bench.submit(definition) for _ in range(2))
        up(bench, first)
        bench.state(second, "RUNNABLE")
        number = f"needs 1 vCPUs; compute environment {bench.environment} has 0 of 1 free"
        why = answer(bench.server, "jobs", "why", second)
        assert (why["status"], why["ahead"], number in why["waitsFor"]) == ("RUNNABLE", 0, True), why
        assert number in bench.server.barge("jobs", "why", second).stdout
        listed = {job["id"]: job for job in answer(bench.server, "jobs", "-q", bench.queue)["jobs"]}
        assert number in listed[second]["waitsFor"]
        assert number in bench.server.barge("jobs", "-q", bench.queue).stdout
        running = bench.server.barge("jobs", "why", first).stdout
        assert f"in compute environment {bench.environment}" in running
        bench.server.barge("jobs", "stop", second, first)

    def test_a_job_that_waits_for_another_names_it(self, bench):
        first = up(bench, bench.submit(bench.define(PATIENT)))
        second = bench.submit(bench.define(["true"]), dependsOn=[{"jobId": first}])
        assert f"waits for job {first} to succeed" in bench.server.barge("jobs", "why", second).stdout
        bench.server.barge("jobs", "stop", first)
        assert bench.ended(second)["status"] == "FAILED"

    def test_a_job_that_failed_says_how(self, bench):
        job = bench.run("sh", "-c", "exit 7")
        text = bench.server.barge("jobs", "why", job["jobId"]).stdout
        assert "FAILED" in text
        assert "exit code 7: Essential container in task exited" in text


class TestLogs:
    def test_the_lines_of_a_job(self, bench):
        job = bench.run("sh", "-c", "echo one; echo two")["jobId"]
        assert bench.server.barge("jobs", "logs", job).stdout == "one\ntwo\n"
        stamped = bench.server.barge("jobs", "logs", "--timestamps", job).stdout.splitlines()
        assert [line.split(" ", 1)[1] for line in stamped] == ["one", "two"]

    def test_following_goes_on_over_attempts_until_the_end(self, bench):
        script = 'echo attempt $AWS_BATCH_JOB_ATTEMPT; test "$AWS_BATCH_JOB_ATTEMPT" = 2'
        job = bench.submit(bench.define(["sh", "-c", script], retryStrategy={"attempts": 3}))
        assert bench.server.barge("jobs", "logs", "--follow", job).stdout == "attempt 1\nattempt 2\n"
        assert bench.server.barge("jobs", "logs", "--attempt", 1, job).stdout == "attempt 1\n"
        assert bench.server.barge("jobs", "logs", job).stdout == "attempt 2\n"

    def test_a_line_is_there_while_the_job_runs(self, bench):
        job = bench.submit(bench.define(PATIENT))
        command = [BARGE, "jobs", "logs", "-f", job]
        with subprocess.Popen(command, env=bench.server.environment(), stdout=subprocess.PIPE, text=True) as following:
            assert following.stdout.readline() == "up\n"
            assert bench.job(job)["status"] == "RUNNING"
            bench.server.barge("jobs", "stop", job)
            assert following.wait(timeout=30) == 0

    def test_a_job_that_has_not_started_has_none(self, bench):
        first = up(bench, bench.submit(bench.define(PATIENT)))
        second = bench.submit(bench.define(["true"]), dependsOn=[{"jobId": first}])
        done = bench.server.barge("jobs", "logs", second, check=False)
        assert (done.returncode, "has not started" in done.stderr) == (1, True)
        bench.server.barge("jobs", "stop", first)

    def test_all_of_a_long_log(self, bench):
        job = bench.run("seq", "1", "15000")["jobId"]
        assert bench.server.barge("jobs", "logs", job).stdout == "".join(f"{n}\n" for n in range(1, 15001))


class TestStop:
    def test_jobs_are_stopped_with_the_reason(self, bench):
        job = up(bench, bench.submit(bench.define(PATIENT)))
        assert bench.server.barge("jobs", "stop", "--reason", "enough", job).stdout == f"{job}\n"
        ended = bench.ended(job)
        assert (ended["status"], ended["statusReason"]) == ("FAILED", "enough")


class TestAttempts:
    def test_each_attempt_has_a_record_with_what_it_would_have_cost(self, bench):
        job = bench.run("false", retryStrategy={"attempts": 2})
        listed = answer(bench.server, "jobs", "attempts", job["jobId"])
        assert [attempt["attempt"] for attempt in listed["attempts"]] == [1, 2]
        for attempt in listed["attempts"]:
            assert (attempt["job"], attempt["exitCode"]) == (job["jobId"], 1)
            # A minute at least of a quarter of a vCPU and half a GiB, at the table's prices.
            assert attempt["cost"]["fargate"] >= 206
            assert 0 <= attempt["cost"]["ec2Spot"] <= attempt["cost"]["ec2"] < attempt["cost"]["fargate"]
            held = attempt["vcpuSeconds"] * 4
            assert abs(attempt["memoryMibSeconds"] - 512 * held) < 0.01
        total = sum(attempt["cost"]["fargate"] for attempt in listed["attempts"])
        assert listed["cost"]["fargate"] == total
        assert "us-east-1" in listed["prices"][0]
        assert answer(bench.server, "jobs", "attempts", "--queue", bench.queue) == listed
        table = rows(bench.server.barge("jobs", "attempts", job["jobId"]).stdout)
        assert [row[:2] for row in table[1:3]] == [[job["jobId"], "1"], [job["jobId"], "2"]]


class TestQueues:
    def test_queues_and_environments_with_what_they_hold(self, bench):
        job = up(bench, bench.submit(bench.define(PATIENT, vcpu="0.5", memory="1024")))
        board = answer(bench.server, "queues")
        queue = only([queue for queue in board["queues"] if queue["name"] == bench.queue])
        assert (queue["state"], queue["jobs"]["RUNNING"], queue["vcpusInUse"]) == ("ENABLED", 1, 0.5)
        assert queue["environments"] == [bench.environment]
        environment = only([e for e in board["environments"] if e["name"] == bench.environment])
        assert (environment["tasks"], environment["vcpusInUse"], environment["memoryInUseMib"]) == (1, 0.5, 1024)
        assert (environment["type"], environment["maxVcpus"], environment["desiredVcpus"]) == ("FARGATE", 4, None)
        text = bench.server.barge("queues").stdout
        assert bench.queue in text and bench.environment in text and "The machine: " in text
        bench.server.barge("jobs", "stop", job)
        bench.ended(job)
        queue = only([queue for queue in answer(bench.server, "queues")["queues"] if queue["name"] == bench.queue])
        assert (queue["waits"]["count"], queue["runs"]["count"], queue["failed"]) == (1, 1, 1)

    def test_prometheus_reads_the_same(self, bench):
        job = up(bench, bench.submit(bench.define(PATIENT)))
        assert sample(bench.server, "barge_batch_jobs", queue=bench.queue, status="RUNNING") == 1
        assert sample(bench.server, "barge_batch_vcpus_in_use", environment=bench.environment) == 0.25
        assert sample(bench.server, "barge_batch_memory_in_use_bytes", environment=bench.environment) == 512 << 20
        bench.server.barge("jobs", "stop", job)
        bench.ended(job)
        assert sample(bench.server, "barge_batch_jobs", queue=bench.queue, status="RUNNING") == 0
        assert sample(bench.server, "barge_batch_attempts_ended_total", queue=bench.queue, result="failed") == 1
        assert sample(bench.server, "barge_batch_attempt_run_seconds_count", queue=bench.queue) == 1
        assert sample(bench.server, "barge_batch_attempt_run_seconds_bucket", queue=bench.queue, le="+Inf") == 1
        assert sample(bench.server, "barge_batch_attempt_wait_seconds_count", queue=bench.queue) == 1

    def test_watching_looks_again(self, bench):
        command = [BARGE, "queues", "--watch", "--json"]
        with subprocess.Popen(command, env=bench.server.environment(), stdout=subprocess.PIPE, text=True) as watching:
            seen = [json.loads(watching.stdout.readline())["at"] for _ in range(2)]
            watching.terminate()
        assert seen[0] < seen[1]


class TestSpot:
    @pytest.fixture
    def spot(self, server, busybox_layout, name):
        return BatchBench(server, push(server, busybox_layout, name), f"{name}-spot", kind="FARGATE_SPOT")

    def test_an_interrupted_attempt_is_tried_again(self, spot):
        job = up(spot, spot.submit(spot.define(PATIENT, retryStrategy={"attempts": 2})))
        done = answer(spot.server, "spot", "interrupt", "--environment", spot.environment)
        assert done == {"environment": spot.environment, "instances": [], "jobs": [job]}
        wait_for(lambda: len(spot.job(job)["attempts"]) == 1)
        assert spot.job(job)["attempts"][0]["statusReason"] == "Your Spot Task was interrupted."
        up(spot, job)
        assert job in spot.server.barge("spot", "interrupt", job).stdout
        ended = spot.ended(job)
        assert (ended["status"], ended["statusReason"]) == ("FAILED", "Your Spot Task was interrupted.")

    def test_an_interrupted_instance_takes_all_its_jobs_along(self, server, shell_image, name):
        batch = server.client("batch")
        batch.create_compute_environment(
            computeEnvironmentName=name, type="MANAGED", state="ENABLED",
            computeResources={
                "type": "SPOT", "allocationStrategy": "SPOT_PRICE_CAPACITY_OPTIMIZED", "minvCpus": 0, "maxvCpus": 8, "instanceTypes": ["c5.large"],
                "subnets": ["subnet-1"], "securityGroupIds": ["sg-1"], "instanceRole": f"arn:aws:iam::{ACCOUNT}:instance-profile/ecs",
            },
        )
        order = [{"order": 1, "computeEnvironment": name}]
        batch.create_job_queue(jobQueueName=name, state="ENABLED", priority=1, computeEnvironmentOrder=order)
        batch.register_job_definition(
            jobDefinitionName=name, type="container",
            containerProperties={
                "image": shell_image, "command": PATIENT,
                "resourceRequirements": [{"type": "VCPU", "value": "1"}, {"type": "MEMORY", "value": "256"}],
            },
        )
        jobs = [batch.submit_job(jobName="j", jobQueue=name, jobDefinition=name)["jobId"] for _ in range(2)]

        def all_in(state):
            described = batch.describe_jobs(jobs=jobs)["jobs"]
            return described if all(job["status"] == state for job in described) else None

        wait_for(lambda: all_in("RUNNING"))
        for job in jobs:
            wait_for(lambda: server.barge("jobs", "logs", job).stdout == "up\n", what=f"{job} up")
        environment = only([e for e in answer(server, "queues")["environments"] if e["name"] == name])
        assert (environment["desiredVcpus"], environment["instances"]) == (2, {"c5.large": 1})
        assert sample(server, "barge_batch_instances", environment=name, instance_type="c5.large") == 1
        done = answer(server, "spot", "interrupt", "--environment", name)
        assert sorted(done["jobs"]) == sorted(jobs)
        instance = only(done["instances"])
        for job in wait_for(lambda: all_in("FAILED")):
            assert job["statusReason"] == f"Host EC2 (instance {instance}) terminated."
        records = answer(server, "jobs", "attempts", "--queue", name)["attempts"]
        assert {record["instanceType"] for record in records} == {"c5.large"}

    def test_what_does_not_run_on_spot_is_refused(self, spot, bench):
        job = up(bench, bench.submit(bench.define(PATIENT)))
        done = bench.server.barge("spot", "interrupt", job, check=False)
        assert (done.returncode, f"Job {job} does not run on Spot." in done.stderr) == (1, True)
        idle = bench.server.barge("spot", "interrupt", "-e", spot.environment, check=False)
        assert "Nothing runs on Spot." in idle.stderr
        bench.server.barge("jobs", "stop", job)
