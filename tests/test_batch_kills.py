"""Never lost, never twice: `kill -9` of server, shim and container, a full disk, images gone. Real containers."""

import collections
import os
import random
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

from conftest import BatchBench, Server, push, wait_for

SEED = int(os.environ.get("KILL_SEED", random.SystemRandom().randrange(10**6)))
HOST_GONE = "Host EC2 (instance"


class Shared(BatchBench):
    """A queue on instances, whose containers may write to a folder of the host."""

    def __init__(self, folder, layout):
        self.folder = folder / "shared"
        self.folder.mkdir()
        self.running = Server(folder / "data", "--allow-host-path", self.folder).start()
        super().__init__(self.running, push(self.running, layout, "shell"), "kills", vcpus=8, kind="EC2")

    def mounted(self, script, **properties):
        volume = {"name": "shared", "host": {"sourcePath": str(self.folder)}}
        mount = {"sourceVolume": "shared", "containerPath": "/shared"}
        return self.define(
            ["/bin/sh", "-c", script], vcpu="1", memory="32", volumes=[volume], mountPoints=[mount], **properties
        )

    def children(self, array):
        pages = self.batch.get_paginator("list_jobs")
        ids = [
            job["jobId"] for status in ("SUCCEEDED", "FAILED")
            for page in pages.paginate(arrayJobId=array, jobStatus=status) for job in page["jobSummaryList"]
        ]
        return [job for start in range(0, len(ids), 100)
                for job in self.batch.describe_jobs(jobs=ids[start:start + 100])["jobs"]]

    def shim(self):
        """The process of the one shim that runs."""
        (journal,) = (self.running.data_dir / "attempts").glob("*/journal")
        return int(next(line.split()[1] for line in journal.read_text().splitlines() if line.startswith("pid ")))


@pytest.fixture
def shared(tmp_path, busybox_layout):
    bench = Shared(tmp_path, busybox_layout)
    yield bench
    bench.running.stop()


def test_a_killed_server_runs_every_child_once_and_keeps_every_line(shared):
    """Children write to a file of the host and print while the server is killed again and again."""
    print(f"again: KILL_SEED={SEED}")
    dice, size, lines = random.Random(SEED), 40, 20
    script = (
        "echo $AWS_BATCH_JOB_ARRAY_INDEX >> /shared/ran; "
        f"for n in $(seq {lines}); do echo line $n; usleep 20000; done; echo $AWS_BATCH_JOB_ARRAY_INDEX >> /shared/done"
    )
    array = shared.submit(shared.mounted(script), arrayProperties={"size": size})
    for _ in range(6):
        time.sleep(dice.uniform(0.05, 0.9))
        shared.running.kill()
        time.sleep(dice.uniform(0, 0.3))
        shared.running.start()
    shared.batch = shared.running.client("batch")
    ended = shared.ended(array, seconds=90)
    assert ended["status"] == "SUCCEEDED", ended
    assert ended["arrayProperties"]["statusSummary"]["SUCCEEDED"] == size
    for name in ("ran", "done"):
        counted = collections.Counter((shared.folder / name).read_text().split())
        assert counted == {str(index): 1 for index in range(size)}, name
    logs = shared.running.client("logs")
    for job in shared.children(array):
        assert len(job["attempts"]) == 1
        stream = job["attempts"][0]["container"]["logStreamName"]
        events = logs.get_log_events(logGroupName="/aws/batch/job", logStreamName=stream, startFromHead=True)["events"]
        assert [event["message"] for event in events] == [f"line {n}" for n in range(1, lines + 1)], job["jobId"]


def test_a_killed_shim_loses_the_attempt_and_the_job_is_tried_again(shared):
    script = "echo x >> /shared/ran; if [ $AWS_BATCH_JOB_ATTEMPT = 1 ]; then sleep 600; fi"
    definition = shared.mounted(script)
    rules = [{"onStatusReason": "Host EC2*", "action": "RETRY"}, {"onReason": "*", "action": "EXIT"}]
    job = shared.submit(definition, retryStrategy={"attempts": 3, "evaluateOnExit": rules})
    wait_for(lambda: (shared.folder / "ran").exists())
    shared.state(job, "RUNNING")
    os.kill(shared.shim(), signal.SIGKILL)
    ended = shared.ended(job)
    assert ended["status"] == "SUCCEEDED", ended
    assert ended["attempts"][0]["statusReason"].startswith(HOST_GONE), ended["attempts"]
    assert (shared.folder / "ran").read_text() == "x\nx\n"


def test_a_shim_killed_while_the_server_is_down_is_noticed(shared):
    job = shared.submit(shared.mounted("sleep 600"))
    shared.state(job, "RUNNING")
    shim = shared.shim()
    shared.running.kill()
    os.kill(shim, signal.SIGKILL)
    shared.running.start()
    shared.batch = shared.running.client("batch")
    ended = shared.ended(job)
    assert ended["status"] == "FAILED" and ended["statusReason"].startswith(HOST_GONE), ended


def test_a_killed_container_has_its_exit_code(shared):
    job = shared.submit(shared.mounted("sleep 600"))
    shared.state(job, "RUNNING")
    shim = shared.shim()
    (container,) = (int(pid) for path in Path(f"/proc/{shim}/task").glob("*/children") for pid in path.read_text().split())
    os.kill(container, signal.SIGKILL)
    ended = shared.ended(job)
    assert (ended["status"], ended["container"]["exitCode"]) == ("FAILED", 137), ended


def test_images_that_are_gone_fail_the_attempt_with_a_reason(shared):
    shutil.rmtree(shared.running.data_dir / "images")
    ended = shared.ended(shared.submit(shared.mounted("true")))
    assert ended["status"] == "FAILED"
    assert ended["attempts"][0]["container"]["reason"].startswith("CannotPullContainerError"), ended["attempts"]


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 48 MiB: as root only, for it is mounted."""
    folder = tmp_path / "small"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=48m", "barge-test", folder], capture_output=True)
    if mounted.returncode:
        pytest.skip(f"a small file system can't be mounted here: {mounted.stderr.decode()}")
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


def test_a_full_disk_refuses_jobs_and_loses_none(small_disk, tmp_path, busybox_layout):
    bench = Shared(small_disk, busybox_layout)
    try:
        definition = bench.define(["true"], vcpu="1", memory="32")
        before = bench.submit(definition)
        assert bench.ended(before)["status"] == "SUCCEEDED"
        ballast = small_disk / "ballast"
        with ballast.open("wb") as file:
            try:
                while True:
                    file.write(b"x" * 65536)
                    file.flush()
            except OSError:
                pass
        accepted, refused = [], 0
        client = bench.batch
        for number in range(200):
            try:
                accepted.append(client.submit_job(jobName=f"j{number}", jobQueue=bench.queue, jobDefinition=definition)["jobId"])
            except client.exceptions.ClientError as error:
                assert error.response["ResponseMetadata"]["HTTPStatusCode"] >= 500, error
                refused += 1
            if refused == 3:
                break
        assert refused, "the disk was not full"
        ballast.unlink()
        for job in accepted:
            assert bench.ended(job, seconds=60)["status"] in ("SUCCEEDED", "FAILED")
        assert bench.ended(bench.submit(definition), seconds=60)["status"] == "SUCCEEDED"
        assert bench.job(before)["status"] == "SUCCEEDED"
    finally:
        bench.running.stop()
