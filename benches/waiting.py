"""A million jobs that wait: what they cost in memory, what the next one costs, and how long a restart takes."""

import time

from harness import arguments, memory, scratch, server, table, verdict
from submit import DEFINITION, PROCESSES, QUEUE, THREADS, load, prepare
from wire import Connection

CHILD_AIM, SINGLE_AIM = 300, 1536  # bytes a job
ARRAY = 10_000


def settled(pid):
    """The process's memory in bytes, once it no longer grows."""
    before = 0
    while (now := memory(pid)) != before:
        before = now
        time.sleep(1)
    return now * 1024


def arrays(port, count):
    connection = Connection(port)
    body = {"jobName": "array", "jobQueue": QUEUE, "jobDefinition": DEFINITION, "arrayProperties": {"size": ARRAY}}
    for _ in range(count):
        connection.call("batch", "/v1/submitjob", body)


def answered(port):
    """Seconds that one SubmitJob takes."""
    began = time.perf_counter()
    Connection(port).call("batch", "/v1/submitjob", {"jobName": "next", "jobQueue": QUEUE, "jobDefinition": DEFINITION})
    return time.perf_counter() - began


def restart(running):
    running.kill()
    began = time.perf_counter()
    running.start()
    running.client("batch").describe_job_queues(jobQueues=[QUEUE])
    return time.perf_counter() - began


def next_attempt(running):
    """Milliseconds from the end of one attempt to the placing of the next: the queue's environment takes one at a time."""
    batch = running.client("batch")
    batch.update_compute_environment(computeEnvironment="bench", computeResources={"maxvCpus": 2})
    for _ in range(600):
        ended = batch.list_jobs(jobQueue=QUEUE, jobStatus="FAILED", maxResults=20)["jobSummaryList"]
        if len(ended) >= 10:
            break
        time.sleep(0.1)
    batch.update_compute_environment(computeEnvironment="bench", computeResources={"maxvCpus": 1})
    ids = sorted((job["stoppedAt"], job["jobId"]) for job in ended)
    gaps = [later[0] - earlier[0] for earlier, later in zip(ids, ids[1:])]
    return sorted(gaps)[len(gaps) // 2] if gaps else float("nan")


def main():
    options = arguments(__doc__, singles=(1_000_000, "single jobs"), arrays=(100, f"arrays of {ARRAY} children"))
    with scratch() as directory, server(directory) as running:
        prepare(running.client("batch"))
        load(running.port, 25)
        empty = settled(running.process.pid)
        arrays(running.port, options.arrays)
        children = (settled(running.process.pid) - empty) / (options.arrays * ARRAY)
        quick = answered(running.port)
        empty = settled(running.process.pid)
        count = options.singles // (PROCESSES * THREADS)
        rate, _, _ = load(running.port, count)
        singles = (settled(running.process.pid) - empty) / (count * PROCESSES * THREADS)
        full = answered(running.port)
        gap = next_attempt(running)
        again = restart(running)
        after = settled(running.process.pid)
    rows = [
        ("memory of a child of an array", f"{children:.2f} bytes", "", "", f"below {CHILD_AIM}: {verdict(children < CHILD_AIM)}"),
        ("memory of a single job", f"{singles:.0f} bytes", "", "", f"below {SINGLE_AIM}: {verdict(singles < SINGLE_AIM)}"),
        ("SubmitJob with nothing waiting but arrays", f"{quick * 1000:.2f} ms"),
        ("SubmitJob with all of them waiting", f"{full * 1000:.2f} ms"),
        ("submitted", f"{rate:.0f}/s"),
        ("one attempt's end to the next one's end", f"{gap} ms"),
        ("restart to the first answer", f"{again:.2f} s"),
        ("memory after the restart", f"{after / 2**20:.0f} MiB"),
    ]
    table(f"{options.singles} single jobs and {options.arrays} arrays of {ARRAY} children waiting", rows)


if __name__ == "__main__":
    main()
