"""An attempt of `true` through Batch, beside `crun run` of the same bundle."""

import concurrent.futures
import ctypes
import itertools
import json
import os
import shutil
import subprocess
import time
from pathlib import Path

from harness import ACCOUNT, BARGE, REGION, BatchBench, needs
from harness import arguments, median, milliseconds, scratch, server, spread, table, times, verdict
from wire import Connection

AIM = 2.5
SIDE_BY_SIDE = 4
CLONE_NEWNS = 0x20000  # sched.h; os.unshare came with Python 3.12
ENDED = ("SUCCEEDED", "FAILED")


def root(directory):
    """A root file system with busybox in it."""
    path = directory / "root"
    for folder in ("bin", "dev", "etc", "proc", "sys", "tmp"):
        (path / folder).mkdir(parents=True)
    shutil.copy(needs("busybox", "busybox-static"), path / "bin/busybox")
    for tool in ("true", "sleep"):
        (path / "bin" / tool).symlink_to("busybox")
    return path


def push(running, directory, rootfs):
    layout = directory / "layout"
    pack = [BARGE, "image", "pack", "--directory", rootfs, "--env", "PATH=/bin", "--output", layout]
    subprocess.run(pack, check=True, stdout=subprocess.DEVNULL)
    running.client("ecr").create_repository(repositoryName="true")
    running.barge("image", "push", layout, f"127.0.0.1:{running.port}/true:latest")
    return f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/true:latest"


class Batch:
    """Submits jobs and follows them, with as little client as can be."""

    def __init__(self, running, image, vcpus=SIDE_BY_SIDE):
        self.bench = BatchBench(running, image, "bench", vcpus=vcpus)
        self.connection = Connection(running.port)

    def submit(self, definition):
        body = {"jobName": "true", "jobQueue": self.bench.queue, "jobDefinition": definition}
        return self.connection.call("batch", "/v1/submitjob", body)["jobId"]

    def wait(self, ids, states=ENDED):
        """The jobs, once each is in one of the states."""
        jobs, left = {}, list(ids)
        while left:
            found = self.connection.jobs(left[:100])
            jobs |= {job["jobId"]: job for job in found if job["status"] in states}
            left = [job for job in left if job not in jobs]
            if left:
                time.sleep(0.0005)
        return list(jobs.values())

    def one(self, definition):
        """Seconds from the SubmitJob call until SUCCEEDED is seen, and between the job's own times."""
        began = time.perf_counter()
        (job,) = self.wait([self.submit(definition)])
        seconds = time.perf_counter() - began
        assert job["status"] == "SUCCEEDED", job
        return {
            "whole": seconds,
            "to start": (job["startedAt"] - job["createdAt"]) / 1000,
            "to end": (job["stoppedAt"] - job["startedAt"]) / 1000,
        }

    def many(self, definition, count):
        """Attempts per second when `count` jobs are submitted at once."""
        began = time.perf_counter()
        jobs = self.wait([self.submit(definition) for _ in range(count)])
        seconds = time.perf_counter() - began
        assert all(job["status"] == "SUCCEEDED" for job in jobs), jobs
        return count / seconds

    def specification(self, running):
        """What a running attempt's container was made from."""
        job = self.submit(self.bench.define(["sleep", "60"], vcpu="1", memory="2048"))
        self.wait([job], ("RUNNING", *ENDED))
        (journal,) = (running.data_dir / "attempts").glob("*/journal")
        shim = next(line.split()[1] for line in journal.read_text().splitlines() if line.startswith("pid "))
        # In a file system that only the shim has.
        path = Path(f"/proc/{shim}/root/sys/fs/cgroup/barge-shim/config.json")
        found = json.loads(path.read_text())
        self.bench.batch.terminate_job(jobId=job, reason="seen")
        self.wait([job])
        return found


class Crun:
    """`crun run` of a bundle with that specification, on the same files."""

    def __init__(self, directory, rootfs, specification):
        self.bundle = directory / "bundle"
        self.bundle.mkdir()
        self.state = directory / "crun"
        self.ids = itertools.count()
        specification["process"]["args"] = ["true"]
        specification["root"]["path"] = str(rootfs)
        specification["linux"].pop("cgroupsPath", None)
        # Where a file is mounted, recursively read-only is read-only, and some versions of crun refuse the former.
        for mount in specification["mounts"]:
            mount["options"] = [option for option in mount["options"] if option != "rro"]
        self.note = ""
        refusal = self.refusal(specification)
        if "hybrid mode" in refusal:
            leave_unified()
            self.note = "; it refuses hybrid cgroup hosts, so the v2 hierarchy is hidden from it"
            refusal = self.refusal(specification)
        if refusal:
            raise RuntimeError(f"crun does not run the bundle: {refusal}")

    def refusal(self, specification):
        """Finds the cgroup manager that works here, best first; gives why none does."""
        limits = {"memory": {"limit": 2048 << 20}, "cpu": {"shares": 1024, "quota": 20_000, "period": 20_000}}
        for self.manager, resources in (("cgroupfs", limits), ("disabled", {})):
            specification["linux"]["resources"] = resources
            (self.bundle / "config.json").write_text(json.dumps(specification))
            done = self.run(check=False)
            if done.returncode == 0:
                return ""
        return done.stderr

    def run(self, check=True):
        command = ["crun", f"--root={self.state}", f"--cgroup-manager={self.manager}", "run", "--bundle", self.bundle]
        name = f"barge-bench-{os.getpid()}-{next(self.ids)}"
        return subprocess.run([*command, name], check=check, stdin=subprocess.DEVNULL, capture_output=True, text=True)

    def one(self, _=None):
        began = time.perf_counter()
        self.run()
        return time.perf_counter() - began

    def many(self, count):
        began = time.perf_counter()
        with concurrent.futures.ThreadPoolExecutor(SIDE_BY_SIDE) as pool:
            list(pool.map(self.one, range(count)))
        return count / (time.perf_counter() - began)


def leave_unified():
    """Takes this process, and what it starts from now on, to where the v2 hierarchy of a hybrid host is not mounted."""
    if ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWNS):
        raise OSError(ctypes.get_errno(), "unshare")
    subprocess.run(["mount", "--make-rprivate", "/"], check=True)
    subprocess.run(["umount", "/sys/fs/cgroup/unified"], check=True)


def main():
    options = arguments(__doc__, rounds=(50, "attempts one after the other"), many=(200, "attempts submitted at once"))
    with scratch() as directory, server(directory) as running:
        rootfs = root(directory)
        batch = Batch(running, push(running, directory, rootfs))
        true = batch.bench.define(["true"], vcpu="1", memory="2048")
        quarter = batch.bench.define(["true"], vcpu="0.25", memory="512")
        crun = None
        if shutil.which("crun"):
            crun = Crun(directory, rootfs, batch.specification(running))
        for _ in range(5):
            batch.one(true)
        # In turns, so that both see the same machine.
        attempts, bundles, quarters = [], [], []
        for _ in range(options.rounds):
            attempts.append(batch.one(true))
            quarters.append(batch.one(quarter))
            if crun:
                bundles.append(crun.one())
        rate = batch.many(true, options.many)
        bundle_rate = crun.many(options.many) if crun else None
    whole = [attempt["whole"] for attempt in attempts]
    beside, ratio, met, notes = "crun is not installed", "", "", []
    if crun:
        beside = f"crun run: {milliseconds(median(bundles))}"
        ratio = times(median(whole) / median(bundles))
        met = f"below 2.50 x: {verdict(median(whole) < AIM * median(bundles))}"
        limits = "with the same limits" if crun.manager == "cgroupfs" else "without limits: crun can't make its cgroup here"
        notes = [f"crun --cgroup-manager={crun.manager}, {limits}{crun.note}; its root is a plain directory, without an overlay"]
    rows = [
        ("submit to SUCCEEDED, 1 vCPU", spread(whole), beside, ratio, met),
        ("  createdAt to startedAt", spread([attempt["to start"] for attempt in attempts])),
        ("  startedAt to stoppedAt", spread([attempt["to end"] for attempt in attempts])),
        ("submit to SUCCEEDED, 0.25 vCPU", spread([attempt["whole"] for attempt in quarters])),
    ]
    if crun:
        pace = (f"crun run: {bundle_rate:.1f}/s", times(rate / bundle_rate))
        rows.append((f"{options.many} attempts, {SIDE_BY_SIDE} at a time", f"{rate:.1f}/s", *pace))
    else:
        rows.append((f"{options.many} attempts, {SIDE_BY_SIDE} at a time", f"{rate:.1f}/s"))
    table(f"An attempt of `true` through Batch (median of {options.rounds})", rows, notes)


if __name__ == "__main__":
    main()
