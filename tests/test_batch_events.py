"""What Batch tells of: jobs' states and blocked queues, as a local subscriber of events sees them."""

import json

import pytest

from conftest import BatchBench, Server, push, wait_for


@pytest.fixture
def told(tmp_path, busybox_layout):
    """A bench, and a function that reads the events so far."""
    log = tmp_path / "events.jsonl"
    server = Server(tmp_path / "data", "--event-log", log).start()
    bench = BatchBench(server, push(server, busybox_layout, "shell"), "events", vcpus=1)

    def events(kind):
        found = [json.loads(line) for line in log.read_text().splitlines()]
        return [event for event in found if event["detail-type"] == kind]

    yield bench, events
    server.stop()


def states(events, job):
    found = [event for event in events("Batch Job State Change") if event["detail"]["jobId"] == job]
    return [event["detail"]["status"] for event in found]


def test_every_state_of_a_job_is_told_in_order(told):
    bench, events = told
    job = bench.submit(bench.define(["true"]))
    bench.ended(job)
    wanted = ["RUNNABLE", "STARTING", "RUNNING", "SUCCEEDED"]
    wait_for(lambda: states(events, job) == wanted)
    (first, *_) = events("Batch Job State Change")
    assert (first["source"], first["account"], first["region"]) == ("aws.batch", "000000000000", "us-east-1")
    assert first["resources"] == [first["detail"]["jobArn"]]


def test_states_are_told_also_by_the_next_server(told):
    bench, events = told
    job = bench.submit(bench.define(["sleep", "1"]))
    bench.server.kill()
    bench.server.start()
    wait_for(lambda: states(events, job)[-1:] == ["SUCCEEDED"])
    seen = [event["id"] for event in events("Batch Job State Change") if event["detail"]["jobId"] == job]
    assert len(set(seen)) >= 4


def test_a_queue_that_nothing_can_unblock_is_told_of_at_once(told):
    bench, events = told
    job = bench.submit(bench.define(["true"], vcpu="2", memory="4096"))
    (event,) = wait_for(lambda: events("Batch Job Queue Blocked"))
    assert event["detail"]["jobId"] == job
    assert event["detail"]["statusReason"].startswith("MISCONFIGURATION:COMPUTE_ENVIRONMENT_MAX_RESOURCE")
    assert bench.job(job)["statusReason"] == event["detail"]["statusReason"]
