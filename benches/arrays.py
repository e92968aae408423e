"""An array of ten thousand children of `true`, beside a loop of as many parallel `crun run`."""

import concurrent.futures
import shutil
import threading
import time

from attempt import Batch, Crun, push, root
from harness import arguments, memory, mib, milliseconds, processor_seconds, scratch, server, table, times, verdict

AIM = 0.7
MOST = 10_000  # children of one array


def array(batch, definition, size):
    """Submits an array; seconds until its first child had started and until all had succeeded."""
    began = time.time()
    job = batch.connection.call("batch", "/v1/submitjob", {
        "jobName": "array", "jobQueue": batch.bench.queue, "jobDefinition": definition,
        "arrayProperties": {"size": size},
    })["jobId"]
    while True:
        (found,) = batch.connection.jobs([job])
        if found["status"] in ("SUCCEEDED", "FAILED"):
            break
        time.sleep(0.05)
    seconds = time.time() - began
    summary = found["arrayProperties"]["statusSummary"]
    assert summary["SUCCEEDED"] == size, found
    (first,) = batch.connection.jobs([f"{job}:0"])
    return seconds, first["attempts"][0]["startedAt"] / 1000 - began


def parallel(crun, count, side_by_side):
    """Runs of a bundle per second, so many at a time."""
    began = time.perf_counter()
    with concurrent.futures.ThreadPoolExecutor(side_by_side) as pool:
        for _ in pool.map(crun.one, range(count)):
            pass
    return count / (time.perf_counter() - began)


class Peak(threading.Thread):
    """The most memory that a process has held."""

    def __init__(self, pid):
        super().__init__(daemon=True)
        self.pid, self.kib, self.ended = pid, 0, threading.Event()

    def run(self):
        while not self.ended.wait(0.2):
            self.kib = max(self.kib, memory(self.pid))


def main():
    options = arguments(
        __doc__, children=(MOST, "children"), vcpus=(4, "children at a time"), crun=(2_000, "runs of crun to compare with")
    )
    with scratch() as directory, server(directory) as running:
        rootfs = root(directory)
        batch = Batch(running, push(running, directory, rootfs), vcpus=options.vcpus)
        definition = batch.bench.define(["true"], vcpu="1", memory="2048")
        crun = Crun(directory, rootfs, batch.specification(running)) if shutil.which("crun") else None
        before = parallel(crun, options.crun // 2, options.vcpus) if crun else 0
        peak, used = Peak(running.process.pid), processor_seconds(running.process.pid)
        peak.start()
        seconds, first = array(batch, definition, options.children)
        used = processor_seconds(running.process.pid) - used
        peak.ended.set()
        # Before and after, for the machine may not be ours alone.
        beside = (before + parallel(crun, options.crun // 2, options.vcpus)) / 2 if crun else 0
    rate = options.children / seconds
    other, ratio, met = "crun is not installed", "", ""
    if crun:
        other, ratio = f"crun run: {beside:.1f}/s", times(rate / beside)
        met = f"above {AIM:.2f} x: {verdict(rate > AIM * beside)}"
    rows = [
        (f"attempts, {options.vcpus} at a time", f"{rate:.1f}/s", other, ratio, met),
        ("SubmitJob to the first start", milliseconds(first)),
        ("server's processor time", f"{used / seconds:.2f} processors, {used / options.children * 1000:.2f} ms an attempt"),
        ("server's memory at most", mib(peak.kib)),
    ]
    table(f"An array of {options.children} children of `true`", rows)


if __name__ == "__main__":
    main()
