"""Upload to last row for sample.csv, on a warm server with the example's stack."""

import csv
import subprocess
import time

from harness import EXAMPLE, arguments, median, memory, mib, milliseconds, scratch, server, spread, table, times, verdict
from test_pipeline import BINARIES, Pipeline
from wire import Connection

AIM = 0.250
SAMPLE = EXAMPLE / "sample.csv"
PATIENCE = 30


class Bench:
    """The deployed pipeline, its table empty before each run."""

    def __init__(self, running, pipeline):
        self.running, self.pipeline = running, pipeline
        self.connection = Connection(running.port)
        self.s3, self.dynamodb = running.client("s3"), running.client("dynamodb")
        self.batch = running.client("batch")
        self.bucket, self.table = pipeline.outputs["BucketName"], pipeline.outputs["TableName"]
        with open(SAMPLE, newline="") as file:
            self.expected = sum(1 for _ in csv.DictReader(file))
        self.body = SAMPLE.read_bytes()

    def count(self):
        request = {"TableName": self.table, "Select": "COUNT", "ConsistentRead": True}
        return self.connection.call("dynamodb", "/", request, "DynamoDB_20120810.Scan")["Count"]

    def empty(self):
        for item in self.pipeline.rows().values():
            key = {name: item[name] for name in ("ProductId", "ProductName")}
            self.dynamodb.delete_item(TableName=self.table, Key=key)
        assert self.count() == 0

    def wait(self, since):
        while self.count() < self.expected:
            if time.time() - since > PATIENCE:
                raise RuntimeError(f"{self.count()} of {self.expected} rows after {PATIENCE} s; jobs: {self.pipeline.jobs()}")
            time.sleep(0.001)
        return time.time()

    def upload(self):
        """One run: seconds from the upload's start to each step's end, by name."""
        self.empty()
        seen = {job["jobId"] for job in self.pipeline.jobs()}
        began = time.time()
        self.s3.put_object(Bucket=self.bucket, Key="sample.csv", Body=self.body)
        answered = time.time()
        last_row = self.wait(began)
        while not (jobs := self.pipeline.settled()):
            time.sleep(0.005)
        (mine,) = [job["jobId"] for job in jobs if job["jobId"] not in seen]
        (job,) = self.connection.jobs([mine])
        assert job["status"] == "SUCCEEDED", job
        moment = lambda name: job[name] / 1000 - began
        return {
            "upload answered": answered - began,
            "job submitted by the function": moment("createdAt"),
            "container started": moment("startedAt"),
            "last row": last_row - began,
            "job ended": moment("stoppedAt"),
        }

    def alone(self):
        """Seconds of the loader as a plain process, on the same file and table."""
        self.empty()
        settings = {"InputBucket": self.bucket, "FileName": "sample.csv", "Region": "us-east-1", "DBTableName": self.table}
        began = time.time()
        command = [BINARIES / "loader"]
        loader = subprocess.Popen(command, env={**self.running.environment(), **settings}, stdout=subprocess.DEVNULL)
        seconds = self.wait(began) - began
        assert loader.wait() == 0
        return seconds


def main():
    options = arguments(__doc__, rounds=(20, "uploads"), warm=(3, "uploads before them"))
    with scratch() as directory, server(directory) as running:
        pipeline = Pipeline(running, "bench")
        pipeline.push(directory)
        bench = Bench(running, pipeline)
        for _ in range(options.warm):
            bench.upload()
        runs = [bench.upload() for _ in range(options.rounds)]
        alone = [bench.alone() for _ in range(options.rounds)]
        resident = memory(running.process.pid)
    steps = {name: [run[name] for run in runs] for name in runs[0]}
    whole = steps["last row"]
    rows = [
        (
            "upload to last row", spread(whole), f"loader alone, a plain process: {milliseconds(median(alone))}",
            times(median(whole) / median(alone)), f"250 ms: {verdict(median(whole) <= AIM)}",
        )
    ]
    rows += [(f"  {name}", spread(seconds)) for name, seconds in steps.items() if seconds is not whole]
    rows.append(("server afterwards, resident", mib(resident)))
    table(f"sample.csv, {bench.expected} rows, through S3, Lambda, Batch and a container (median of {options.rounds})", rows)


if __name__ == "__main__":
    main()
