"""Deploys other people's templates: the fixtures that the cfn-lint package ships as good ones, as far as they use resource types
that Barge has. Each is made and removed on a server of its own data; a table says how it went.

    python tests/fixtures_table.py DIRECTORY      # what is fetched and the table go there: fixtures.md, fixtures.json

The package's source archive is fetched with pip, at the version that tests/requirements.txt pins; nothing of it is kept in
the repository.
"""

import collections
import json
import pathlib
import re
import subprocess
import sys
import tarfile
import uuid

import yaml
from botocore.exceptions import ClientError, WaiterError

from conftest import BARGE, ROOT, Server

LONGEST_BODY = 51_200
QUICK = {"Delay": 0.1, "MaxAttempts": 600}
VALUES = {"Number": "1", "List<Number>": "1,2", "CommaDelimitedList": "a,b", "String": "value"}


class Loader(yaml.SafeLoader):
    """Reads templates without knowing their tags."""


def unknown(loader, suffix, node):
    if isinstance(node, yaml.MappingNode):
        return {suffix: loader.construct_mapping(node, deep=True)}
    if isinstance(node, yaml.SequenceNode):
        return {suffix: loader.construct_sequence(node, deep=True)}
    return {suffix: node.value}


Loader.add_multi_constructor("!", unknown)


def fetched(directory):
    """The good fixtures of the pinned cfn-lint, unpacked under `directory`."""
    pinned = re.search(r"^cfn-lint==(\S+)$", (ROOT / "tests/requirements.txt").read_text(), re.M).group(1)
    home = directory / f"cfn_lint-{pinned}"
    if not home.exists():
        archive = directory / f"cfn_lint-{pinned}.tar.gz"
        if not archive.exists():
            subprocess.run(
                [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", ":all:",
                 "--dest", directory, f"cfn-lint=={pinned}"], check=True,
            )
        with tarfile.open(archive) as packed:
            packed.extractall(directory, filter="data")
    return home / "test/fixtures/templates/good"


def read(path):
    """The template's tree; None where it is none."""
    try:
        tree = yaml.load(path.read_text(), Loader)
    except (yaml.YAMLError, UnicodeDecodeError, ValueError):
        return None
    resources = tree.get("Resources") if isinstance(tree, dict) else None
    return tree if isinstance(resources, dict) and resources else None


def types(tree):
    return {r.get("Type", "") for r in tree["Resources"].values() if isinstance(r, dict)}


def parameters(tree):
    """Values for the parameters that have no default."""
    declared = tree.get("Parameters") or {}
    given = []
    for name, parameter in declared.items():
        if isinstance(parameter, dict) and "Default" not in parameter:
            allowed = parameter.get("AllowedValues") or [VALUES.get(parameter.get("Type"), "value")]
            given.append({"ParameterKey": name, "ParameterValue": str(allowed[0])})
    return given


def tried(formation, body, given):
    """How a template's life went: its outcome, and why where it did not end well."""
    name = f"fixture-{uuid.uuid4().hex[:10]}"
    try:
        stack = formation.create_stack(
            StackName=name, TemplateBody=body, Parameters=given, TimeoutInMinutes=2,
            Capabilities=["CAPABILITY_NAMED_IAM", "CAPABILITY_AUTO_EXPAND"],
        )["StackId"]
    except ClientError as error:
        return "refused", error.response["Error"]["Message"]
    outcome, why = "deploys and goes", ""
    try:
        formation.get_waiter("stack_create_complete").wait(StackName=stack, WaiterConfig=QUICK)
    except WaiterError:
        events = formation.describe_stack_events(StackName=stack)["StackEvents"]
        reasons = [e.get("ResourceStatusReason", "") for e in reversed(events) if e["ResourceStatus"] == "CREATE_FAILED"]
        outcome, why = "fails", next((r for r in reasons if "cancelled" not in r), "")
    try:
        formation.delete_stack(StackName=stack)
        formation.get_waiter("stack_delete_complete").wait(StackName=stack, WaiterConfig=QUICK)
    except (ClientError, WaiterError) as error:
        outcome, why = "is not removed", str(error)
    return outcome, why


def main():
    directory = pathlib.Path(sys.argv[1]).resolve()
    directory.mkdir(parents=True, exist_ok=True)
    fixtures = fetched(directory)
    printed = subprocess.run([BARGE, "resources"], check=True, capture_output=True, text=True).stdout
    known = {line.split()[0] for line in printed.splitlines()} | {"AWS::Serverless::Function"}
    rows, looked_at = [], 0
    server = Server(directory / f"data-{uuid.uuid4().hex[:8]}").start()
    try:
        formation = server.client("cloudformation")
        for path in sorted(fixtures.rglob("*")):
            tree = read(path) if path.suffix in (".yaml", ".yml", ".json", ".template") else None
            if tree is None:
                continue
            looked_at += 1
            body = path.read_text()
            if types(tree) <= known and len(body.encode()) <= LONGEST_BODY:
                outcome, why = tried(formation, body, parameters(tree))
                rows.append({"template": str(path.relative_to(fixtures)), "outcome": outcome, "why": why})
    finally:
        server.stop()
    counts = collections.Counter(row["outcome"] for row in rows)
    summary = f"{looked_at} templates, {len(rows)} with types that Barge has: " + ", ".join(
        f"{count} {outcome}" for outcome, count in counts.most_common())
    table = ["| template | outcome | why |", "|---|---|---|"]
    table += [f"| {r['template']} | {r['outcome']} | {' '.join(r['why'].split())[:300].replace('|', '/')} |" for r in rows]
    (directory / "fixtures.md").write_text("\n".join([summary, "", *table]) + "\n")
    (directory / "fixtures.json").write_text(json.dumps({"looked_at": looked_at, "counts": counts, "rows": rows}, indent=1))
    print(summary)
    # A template that was taken must end well; what is refused is refused by name, before anything is made.
    sys.exit(1 if counts["is not removed"] else 0)


if __name__ == "__main__":
    main()
