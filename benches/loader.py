"""The example's loader on many rows, beside one PutItem per row from boto3 on the same server."""

import json
import subprocess
import time

from harness import REGION, arguments, memory, mib, processor_seconds, scratch, server, table, times, verdict
from test_pipeline import BINARIES

AIM = 20
LIMIT_KIB = 64 * 1024
BUCKET, KEY = "bench", "rows.csv"
COLUMNS = ("ProductId", "ProductName", "ProductDescription")


def row(number):
    return f"P{number:08}", f"Product {number}", f"Fiber to the home number {number}, with calls and texts without limit"


def write(path, count):
    with open(path, "w") as file:
        file.write(",".join(COLUMNS) + "\n")
        for number in range(count):
            file.write('{},{},"{}"\n'.format(*row(number)))


def create_table(dynamodb, name):
    """The template's table."""
    key = lambda name, kind: {"AttributeName": name, "KeyType": kind}
    dynamodb.create_table(
        TableName=name,
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": n, "AttributeType": "S"} for n in (*COLUMNS[:2], "CreatedTime")],
        KeySchema=[key("ProductId", "HASH"), key("ProductName", "RANGE")],
        GlobalSecondaryIndexes=[{
            "IndexName": "CreatedTime", "KeySchema": [key("CreatedTime", "HASH")],
            "Projection": {"ProjectionType": "KEYS_ONLY"},
        }],
    )
    return name


def put_each(dynamodb, name, count):
    """Rows per second by one PutItem each."""
    stamp = {"Filename": {"S": KEY}, "CreatedTime": {"S": "2024-01-01T00:00:00Z"}, "LastModified": {"S": "2024-01-01T00:00:00Z"}}
    began = time.perf_counter()
    for number in range(count):
        dynamodb.put_item(TableName=name, Item={**dict(zip(COLUMNS, ({"S": cell} for cell in row(number)))), **stamp})
    return count / (time.perf_counter() - began)


def load(running, name):
    """Runs the loader: its last line, its seconds, and the most memory that it had, in KiB."""
    settings = {"InputBucket": BUCKET, "FileName": KEY, "Region": REGION, "DBTableName": name}
    began = time.perf_counter()
    command = [BINARIES / "loader"]
    loader = subprocess.Popen(command, env={**running.environment(), **settings}, stdout=subprocess.PIPE, text=True)
    peak = 0
    # Not the usage that wait gives: that counts the memory of whoever started it.
    while loader.poll() is None:
        peak = max(peak, memory(loader.pid, "VmHWM"))
        time.sleep(0.02)
    seconds = time.perf_counter() - began
    lines = loader.stdout.read().splitlines()
    if loader.returncode:
        raise RuntimeError(f"the loader ended with {loader.returncode}: {lines[-5:]}")
    return json.loads(lines[-1]), seconds, peak


def count(dynamodb, name):
    pages = dynamodb.get_paginator("scan").paginate(TableName=name, Select="COUNT")
    return sum(page["Count"] for page in pages)


def main():
    options = arguments(__doc__, rows=(1_000_000, "rows that the loader loads"), puts=(2000, "rows that boto3 puts"))
    with scratch() as directory, server(directory) as running:
        dynamodb, s3 = running.client("dynamodb"), running.client("s3")
        write(directory / KEY, options.rows)
        size = (directory / KEY).stat().st_size
        s3.create_bucket(Bucket=BUCKET)
        s3.upload_file(str(directory / KEY), BUCKET, KEY)
        create_table(dynamodb, "warm")
        put_each(dynamodb, "warm", 100)
        puts = put_each(dynamodb, create_table(dynamodb, "puts"), options.puts)
        used = processor_seconds(running.process.pid)
        last, seconds, peak = load(running, create_table(dynamodb, "loaded"))
        used = processor_seconds(running.process.pid) - used
        resident = memory(running.process.pid, "VmHWM")
        found = count(dynamodb, "loaded")
    assert found == options.rows, f"{found} of {options.rows} rows are in the table"
    rate = options.rows / seconds
    rows = [
        (
            f"loader, {options.rows} rows ({size / 1e6:.0f} MB)", f"{rate:.0f} rows/s ({seconds:.1f} s)",
            f"PutItem from boto3, {options.puts} rows: {puts:.0f} rows/s", times(rate / puts),
            f"20 x: {verdict(rate >= AIM * puts)}",
        ),
        ("loader's peak memory", mib(peak), "its limit", times(peak / LIMIT_KIB), f"64 MiB: {verdict(peak < LIMIT_KIB)}"),
        ("server's peak memory", mib(resident)),
        ("server's processor time", f"{used:.1f} s, {used / options.rows * 1e6:.0f} us a row"),
    ]
    table("The loader, as a process, from S3 into a table with one index", rows, [f"the loader says: {json.dumps(last)}"])


if __name__ == "__main__":
    main()
