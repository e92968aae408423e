"""`barge simulate` of a million jobs, under each scenario alone and under all side by side."""

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
    rows, longest = [], 0.0
    with scratch() as directory:
        single, arrays = single_jobs(directory, options.jobs), array_jobs(directory, options.jobs)
        for name, jobs in (("single jobs", single), ("in arrays of 10,000", arrays)):
            runs = [(kind, plan(directory, kind, options.vcpus), ["--alone"]) for kind in KINDS]
            runs.append(("all side by side", plan(directory, "FARGATE", options.vcpus), []))
            for kind, file, more in runs:
                took, outcome = seconds(file, jobs, *more)
                longest = max(longest, took)
                attempts = f"{outcome['attempts']:,} attempts"
                rows.append((f"{options.jobs:,} {name}, {kind}", f"{took:.1f} s", attempts))
    rows.append(("the longest", f"{longest:.1f} s", "a minute", times(longest / AIM_SECONDS), verdict(longest <= AIM_SECONDS)))
    table("barge simulate", rows)


if __name__ == "__main__":
    main()
