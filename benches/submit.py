"""SubmitJob accepted per second, durably, from 8 connections, beside what the disk can sync."""

import multiprocessing
import os
import resource
import threading
import time

from harness import arguments, processor_seconds, scratch, server, table, times
from wire import Connection, signed

PROCESSES, THREADS = 2, 4
WARM, ALONE = 25, 500
QUEUE, DEFINITION = "bench-queue", "bench-job"


def prepare(batch):
    """A queue whose jobs wait for ever: they need more than their compute environment has."""
    batch.create_compute_environment(
        computeEnvironmentName="bench", type="MANAGED", state="ENABLED",
        computeResources={"type": "FARGATE", "maxvCpus": 1, "subnets": ["subnet-1"], "securityGroupIds": ["sg-1"]},
    )
    batch.create_job_queue(
        jobQueueName=QUEUE, state="ENABLED", priority=1,
        computeEnvironmentOrder=[{"order": 1, "computeEnvironment": "bench"}],
    )
    batch.register_job_definition(
        jobDefinitionName=DEFINITION, type="container", platformCapabilities=["FARGATE"],
        containerProperties={
            "image": "busybox", "command": ["true"], "executionRoleArn": "arn:aws:iam::000000000000:role/execution",
            "resourceRequirements": [{"type": "VCPU", "value": "2"}, {"type": "MEMORY", "value": "4096"}],
        },
    )


def submission(port, name):
    """A SubmitJob request, signed and ready."""
    return signed(port, "batch", "/v1/submitjob", {"jobName": name, "jobQueue": QUEUE, "jobDefinition": DEFINITION})


def client(port, process, count, ready, results):
    """One process of the load: its connections send `count` requests each, signed before the clock starts."""
    requests = [[submission(port, f"job-{process}-{t}-{n}") for n in range(count)] for t in range(THREADS)]
    spans = []

    def run(mine):
        connection = Connection(port)
        ready.wait()
        began = time.monotonic()
        for request in mine:
            connection.send(request)
        spans.append((began, time.monotonic()))
        connection.close()

    threads = [threading.Thread(target=run, args=(mine,)) for mine in requests]
    before = usage()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    results.put((len(spans), min(s[0] for s in spans), max(s[1] for s in spans), usage() - before))


def usage():
    mine = resource.getrusage(resource.RUSAGE_SELF)
    return mine.ru_utime + mine.ru_stime


def load(port, count):
    """Requests per second over all connections, and the clients' processor seconds."""
    fork = multiprocessing.get_context("fork")
    ready, results = fork.Barrier(PROCESSES * THREADS), fork.Queue()
    clients = [fork.Process(target=client, args=(port, n, count, ready, results)) for n in range(PROCESSES)]
    for process in clients:
        process.start()
    spans = [results.get(timeout=300) for _ in clients]
    for process in clients:
        process.join()
    assert sum(span[0] for span in spans) == PROCESSES * THREADS, "a connection failed"
    seconds = max(span[2] for span in spans) - min(span[1] for span in spans)
    return PROCESSES * THREADS * count / seconds, sum(span[3] for span in spans), seconds


def load_alone(port):
    """Requests per second over one connection."""
    requests = [submission(port, f"alone-{n}") for n in range(ALONE)]
    connection = Connection(port)
    began = time.monotonic()
    for request in requests:
        connection.send(request)
    return ALONE / (time.monotonic() - began)


def syncs(directory, seconds):
    """How often per second a block at the end of a file is written and on the disk: the limit of one commit each."""
    path, block, count = directory / "sync", os.urandom(4096), 0
    file = os.open(path, os.O_CREAT | os.O_WRONLY, 0o600)
    began = time.monotonic()
    while time.monotonic() - began < seconds:
        os.write(file, block)
        os.fdatasync(file)
        count += 1
    rate = count / (time.monotonic() - began)
    os.close(file)
    path.unlink()
    return rate


def waiting(batch):
    pages = batch.get_paginator("list_jobs").paginate(jobQueue=QUEUE, jobStatus="RUNNABLE")
    return sum(len(page["jobSummaryList"]) for page in pages)


def main():
    options = arguments(__doc__, jobs=(16_000, "jobs in all"), sync=(2.0, "seconds of the disk's loop"))
    count = options.jobs // (PROCESSES * THREADS)
    with scratch() as directory, server(directory) as running:
        prepare(running.client("batch"))
        load(running.port, WARM)
        before = syncs(directory, options.sync / 2)
        used = processor_seconds(running.process.pid)
        rate, clients, seconds = load(running.port, count)
        used = processor_seconds(running.process.pid) - used
        alone = load_alone(running.port)
        # Before and after, for the disk may not be ours alone.
        limit = (before + syncs(directory, options.sync / 2)) / 2
        running.kill()
        running.start()
        found, wanted = waiting(running.client("batch")), PROCESSES * THREADS * (count + WARM) + ALONE
    rows = [
        ("SubmitJob accepted, 8 connections", f"{rate:.0f}/s", f"write and fdatasync: {limit:.0f}/s", times(rate / limit)),
        ("SubmitJob accepted, 1 connection", f"{alone:.0f}/s", f"write and fdatasync: {limit:.0f}/s", times(alone / limit)),
        ("server's processor time", f"{used / seconds:.2f} of {os.cpu_count()} processors, {used / rate / seconds * 1e6:.0f} us a job"),
        ("clients' processor time", f"{clients / seconds:.2f} of {os.cpu_count()} processors"),
        ("there after kill -9 and restart", f"{found}", f"accepted: {wanted}", times(found / wanted)),
    ]
    table(f"SubmitJob, durably ({count * PROCESSES * THREADS} jobs)", rows)
    assert found == wanted, "an accepted job was lost"


if __name__ == "__main__":
    main()
