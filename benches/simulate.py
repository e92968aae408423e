"""`barge simulate` of a million jobs on Fargate and on EC2; of a tenth of them under all scenarios side by side."""

import json
import subprocess
import time

from harness import BARGE, arguments, scratch, table, times, verdict

AIM_SECONDS = 60.0
KINDS = ("FARGATE", "FARGATE_SPOT", "EC2", "SPOT")


def plan(directory, kind, vcpus):
    path = directory / f"{kind}.json"
    environments = [{"name": "ce", "type": kind, "maxvCpus": vcpus}]
    queues = [{"name": "jobs", "environments": ["ce"]}]
    path.write_text(json.dumps({"environments": environments, "queues": queues}))
    return path


def single_jobs(directory, count):
    """One row a job, twenty a second, four sizes."""
    path = directory / "single.csv"
    with open(path, "w") as file:
        file.write("at,name,vcpus,memory,duration,attempts\n")
        for number in range(count):
            vcpus = 1 << number % 3
            file.write(f'{number / 20},job-{number},{vcpus},{vcpus * 1900},"lognormal(600,200)",3\n')
    return path


def array_jobs(directory, count):
    """Arrays of ten thousand, all at once."""
    path = directory / "array.csv"
    rows = "".join('10000,1,1900,"lognormal(600,200)",3\n' for _ in range(count // 10_000))
    path.write_text("array,vcpus,memory,duration,attempts\n" + rows)
    return path


def seconds(plan_file, jobs, *options):
    """The command's seconds, and the report's first outcome."""
    command = [BARGE, "simulate", "--environments", plan_file, "--jobs", jobs, "--json", *options]
    began = time.perf_counter()
    finished = subprocess.run(command, check=True, capture_output=True, text=True)
    return time.perf_counter() - began, json.loads(finished.stdout)["outcomes"][0]


def main():
    options = arguments(__doc__, jobs=(1_000_000, "jobs"), vcpus=(1000, "maxvCpus of the environment"))
    rows, aimed = [], 0.0
    with scratch() as directory:
        for count, kinds in ((options.jobs, ("FARGATE", "EC2")), (options.jobs // 10, ("all side by side",))):
            single, arrays = single_jobs(directory, count), array_jobs(directory, count)
            for name, jobs in (("single jobs", single), ("in arrays of 10,000", arrays)):
                for kind in kinds:
                    alone = ["--alone"] if kind in KINDS else []
                    took, outcome = seconds(plan(directory, kind if alone else "FARGATE", options.vcpus), jobs, *alone)
                    aimed = max(aimed, took if count == options.jobs else 0)
                    rows.append((f"{count:,} {name}, {kind}", f"{took:.1f} s", f"{outcome['attempts']:,} attempts"))
    rows.append((f"{options.jobs:,} jobs at most", f"{aimed:.1f} s", "a minute", times(aimed / AIM_SECONDS), verdict(aimed <= AIM_SECONDS)))
    table("barge simulate", rows)


if __name__ == "__main__":
    main()
