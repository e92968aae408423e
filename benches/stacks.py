"""Stacks: the pipeline's template made and removed, 500 resources made, changed and removed, 1 MB validated."""

import io
import json
import statistics
import time
import zipfile

from harness import EXAMPLE, arguments, scratch, server, table

TRUST = {"Version": "2012-10-17", "Statement": [
    {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"},
]}


def until(formation, stack, status):
    """Waits for the stack's end, by its ARN."""
    while True:
        now = formation.describe_stacks(StackName=stack)["Stacks"][0]["StackStatus"]
        if now == status:
            return
        if not now.endswith("_IN_PROGRESS"):
            raise SystemExit(f"the stack is in {now}, not in {status}")


def timed(formation, call, stack, status):
    """Seconds from the call to the stack's end."""
    began = time.monotonic()
    answer = call()
    until(formation, stack or answer["StackId"], status)
    return time.monotonic() - began


def pipeline(running, rounds):
    """Seconds of creations and deletions of the example's stack. Its function never runs: any program will do."""
    formation, s3 = running.client("cloudformation"), running.client("s3")
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("bootstrap", "#!/bin/sh\n")
    s3.create_bucket(Bucket="bench-code")
    s3.put_object(Bucket="bench-code", Key="trigger.zip", Body=packed.getvalue())
    text = (EXAMPLE / "template.yaml").read_text()
    values = {"CodeBucket": "bench-code", "CodeKey": "trigger.zip"}
    options = {
        "TemplateBody": text, "Capabilities": ["CAPABILITY_IAM"],
        "Parameters": [{"ParameterKey": key, "ParameterValue": value} for key, value in values.items()],
    }
    made, removed = [], []
    for number in range(rounds):
        name = f"pipeline-{number}"
        made.append(timed(formation, lambda: formation.create_stack(StackName=name, **options), None, "CREATE_COMPLETE"))
        stack = formation.describe_stacks(StackName=name)["Stacks"][0]["StackId"]
        removed.append(timed(formation, lambda: formation.delete_stack(StackName=name), stack, "DELETE_COMPLETE"))
    return made, removed


def large(days):
    """500 resources that need nothing of each other."""
    return json.dumps({"Resources": {
        f"G{n}": {"Type": "AWS::Logs::LogGroup", "Properties": {"RetentionInDays": days}} for n in range(500)
    }})


def main():
    given = arguments(__doc__, rounds=(5, "creations of the pipeline's stack"))
    with scratch() as directory, server(directory) as running:
        formation, s3 = running.client("cloudformation"), running.client("s3")
        made, removed = pipeline(running, given.rounds)
        both = [one + other for one, other in zip(made, removed)]
        create = timed(formation, lambda: formation.create_stack(StackName="large", TemplateBody=large(7)), None, "CREATE_COMPLETE")
        stack = formation.describe_stacks(StackName="large")["Stacks"][0]["StackId"]
        change = timed(
            formation, lambda: formation.update_stack(StackName="large", TemplateBody=large(14)), stack, "UPDATE_COMPLETE",
        )
        delete = timed(formation, lambda: formation.delete_stack(StackName="large"), stack, "DELETE_COMPLETE")
        filler = "x" * 1900
        text = json.dumps({"Resources": {
            f"G{n}": {"Type": "AWS::Logs::LogGroup", "Metadata": {"filler": filler}} for n in range(500)
        }})
        s3.create_bucket(Bucket="bench-templates")
        s3.put_object(Bucket="bench-templates", Key="large.json", Body=text)
        url = f"{running.endpoint}/bench-templates/large.json"
        began = time.monotonic()
        formation.validate_template(TemplateURL=url)
        validated = time.monotonic() - began
    table("stacks", [
        (f"the pipeline's stack, made (median of {given.rounds})", f"{statistics.median(made) * 1e3:.0f} ms", "", "", ""),
        ("made and removed", f"{statistics.median(both) * 1e3:.0f} ms", "the aim", f"{statistics.median(both):.2f} x", "1 s"),
        ("500 log groups, made", f"{create:.2f} s", "", "", ""),
        ("changed in place", f"{change:.2f} s", "", "", ""),
        ("removed", f"{delete:.2f} s", "", "", ""),
        (f"a template of {len(text) // 1000} kB, validated", f"{validated * 1e3:.0f} ms", "", "", ""),
    ])


if __name__ == "__main__":
    main()
