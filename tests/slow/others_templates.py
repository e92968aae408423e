"""Deploys other people's templates and tells how it went: those that the cfn-lint package ships as good ones, and those that the
examples in aws-cdk-lib's documentation synthesize. Each that uses only resource types that Barge has is made and removed.

    python tests/slow/others_templates.py DIRECTORY   # what is fetched and the tables go there: others.md, others.json

The packages are fetched at pinned versions (tests/requirements.txt, tests/slow/package.json); nothing of them is kept in the
repository.
"""

import collections
import dataclasses
import io
import json
import pathlib
import re
import subprocess
import sys
import tarfile
import uuid
import zipfile

import yaml
from botocore.exceptions import ClientError, WaiterError

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from conftest import ACCOUNT, BARGE, REGION, ROOT, Server  # noqa: E402

# A server answers about a stack under way after two seconds.
QUICK = {"Delay": 0.1, "MaxAttempts": 45}
# How many of each package deployed and went when this was changed last.
DEPLOYING = {"cfn-lint": 11, "aws-cdk-lib": 100}
VALUES = {"Number": "1", "List<Number>": "1,2", "CommaDelimitedList": "a,b", "String": "value"}
# What the CDK's bootstrap makes for an account and region.
STAGING = f"cdk-hnb659fds-assets-{ACCOUNT}-{REGION}"
VERSION = "/cdk-bootstrap/hnb659fds/version"


class Loader(yaml.SafeLoader):
    """Reads templates without knowing their tags."""


def unknown(loader, suffix, node):
    if isinstance(node, yaml.MappingNode):
        return {suffix: loader.construct_mapping(node, deep=True)}
    if isinstance(node, yaml.SequenceNode):
        return {suffix: loader.construct_sequence(node, deep=True)}
    return {suffix: node.value}


Loader.add_multi_constructor("!", unknown)


@dataclasses.dataclass
class Template:
    """A template of one of the packages."""

    name: str
    body: str
    tree: dict

    def types(self):
        return {r.get("Type", "") for r in self.tree["Resources"].values() if isinstance(r, dict)}

    def parameters(self):
        """Values for the parameters that have no default."""
        given = []
        for name, parameter in (self.tree.get("Parameters") or {}).items():
            if isinstance(parameter, dict) and "Default" not in parameter:
                allowed = parameter.get("AllowedValues") or [VALUES.get(parameter.get("Type"), "value")]
                given.append({"ParameterKey": name, "ParameterValue": str(allowed[0])})
        return given


def read(name, path):
    """The template in a file; None where it has none."""
    try:
        body = path.read_text()
        tree = yaml.load(body, Loader)
    except (yaml.YAMLError, UnicodeDecodeError, ValueError):
        return None
    resources = tree.get("Resources") if isinstance(tree, dict) else None
    return Template(name, body, tree) if isinstance(resources, dict) and resources else None


def cfn_lint(directory):
    """The good fixtures of the pinned cfn-lint. Each is an application of one stack."""
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
    fixtures = home / "test/fixtures/templates/good"
    paths = (p for p in sorted(fixtures.rglob("*")) if p.suffix in (".yaml", ".yml", ".json", ".template"))
    found = (read(str(path.relative_to(fixtures)), path) for path in paths)
    return [[template] for template in found if template]


def cdk_examples(directory, server):
    """The applications that the examples in aws-cdk-lib's documentation make, each with its stacks in order; their assets are
    published."""
    home = directory / "cdk"
    home.mkdir(exist_ok=True)
    (home / "package.json").write_text((HERE / "package.json").read_text())
    subprocess.run(["npm", "install", "--silent", "--no-audit", "--no-fund", "--no-package-lock"], cwd=home, check=True)
    (home / "synthesize.js").write_text((HERE / "synthesize.js").read_text())
    subprocess.run(["node", "synthesize.js", "assemblies"], cwd=home, check=True, stderr=subprocess.DEVNULL)
    s3 = server.client("s3")
    s3.create_bucket(Bucket=STAGING)
    server.client("ssm").put_parameter(Name=VERSION, Type="String", Value="30")
    applications = []
    for assembly in sorted((home / "assemblies").iterdir()):
        stacks = []
        artifacts = json.loads((assembly / "manifest.json").read_text())["artifacts"]
        for artifact in artifacts.values():
            if artifact["type"] == "aws:cloudformation:stack":
                file = artifact["properties"]["templateFile"]
                stacks.append(read(f"{assembly.name}/{file.removesuffix('.template.json')}", assembly / file))
            elif artifact["type"] == "cdk:asset-manifest":
                publish(s3, assembly, artifact["properties"]["file"])
        applications.append([stack for stack in stacks if stack])
    return [application for application in applications if application]


def publish(s3, assembly, manifest):
    """Puts an assembly's files where its templates look for them, as `cdk deploy` does."""
    for file in json.loads((assembly / manifest).read_text()).get("files", {}).values():
        source = file["source"]
        if "path" not in source:
            continue
        path = assembly / source["path"]
        body = path.read_bytes() if source["packaging"] == "file" else zipped(path)
        for destination in file["destinations"].values():
            s3.put_object(Bucket=STAGING, Key=destination["objectKey"], Body=body)


def zipped(folder):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for path in sorted(p for p in folder.rglob("*") if p.is_file()):
            archive.write(path, path.relative_to(folder))
    return packed.getvalue()


class Deployer:
    """Makes and removes stacks, and keeps a row for each."""

    def __init__(self, server, known):
        self.server, self.known = server, known
        self.formation, self.s3 = server.client("cloudformation"), server.client("s3")
        self.bucket = f"templates-{uuid.uuid4().hex[:8]}"
        self.s3.create_bucket(Bucket=self.bucket)
        self.rows = []

    def application(self, package, templates):
        """Makes an application's stacks in order and removes them in the other; nothing where Barge lacks a type."""
        if not all(template.types() <= self.known for template in templates):
            return
        made = []
        for template in templates:
            row = {"package": package, "template": template.name, "outcome": "deploys and goes", "why": ""}
            self.rows.append(row)
            stack = self.make(template, row)
            if stack:
                made.append((stack, row))
        for stack, row in reversed(made):
            self.remove(stack, row)

    def make(self, template, row):
        """The stack's id, where there is one."""
        name = f"others-{uuid.uuid4().hex[:10]}"
        self.s3.put_object(Bucket=self.bucket, Key=name, Body=template.body.encode())
        try:
            stack = self.formation.create_stack(
                StackName=name, TemplateURL=f"{self.server.endpoint}/{self.bucket}/{name}", Parameters=template.parameters(),
                TimeoutInMinutes=2, Capabilities=["CAPABILITY_NAMED_IAM", "CAPABILITY_AUTO_EXPAND"],
            )["StackId"]
        except ClientError as error:
            row.update(outcome="refused", why=error.response["Error"]["Message"])
            return None
        try:
            self.formation.get_waiter("stack_create_complete").wait(StackName=stack, WaiterConfig=QUICK)
        except AssertionError as drifted:
            row.update(outcome="drifts", why=str(drifted))
        except WaiterError:
            events = self.formation.describe_stack_events(StackName=stack)["StackEvents"]
            reasons = [e.get("ResourceStatusReason", "") for e in reversed(events) if e["ResourceStatus"] == "CREATE_FAILED"]
            row.update(outcome="fails", why=next((r for r in reasons if "cancelled" not in r), ""))
        return stack

    def remove(self, stack, row):
        try:
            self.formation.delete_stack(StackName=stack)
            self.formation.get_waiter("stack_delete_complete").wait(StackName=stack, WaiterConfig=QUICK)
        except (ClientError, WaiterError):
            events = self.formation.describe_stack_events(StackName=stack)["StackEvents"]
            reasons = [e.get("ResourceStatusReason", "") for e in events if e["ResourceStatus"] == "DELETE_FAILED"]
            row.update(outcome="is not removed", why=" ".join(reasons))


def table(rows):
    lines = ["| template | outcome | why |", "|---|---|---|"]
    return lines + [
        f"| {r['template']} | {r['outcome']} | {' '.join(r['why'].split())[:300].replace('|', '/')} |" for r in rows
    ]


def main():
    directory = pathlib.Path(sys.argv[1]).resolve()
    directory.mkdir(parents=True, exist_ok=True)
    printed = subprocess.run([BARGE, "resources"], check=True, capture_output=True, text=True).stdout
    known = {line.split()[0] for line in printed.splitlines()} | {"AWS::Serverless::Function"}
    server = Server(directory / f"data-{uuid.uuid4().hex[:8]}").start()
    summary, text, fewer, deployer = [], [], [], Deployer(server, known)
    try:
        packages = {"cfn-lint": cfn_lint(directory), "aws-cdk-lib": cdk_examples(directory, server)}
        for package, applications in packages.items():
            for application in applications:
                deployer.application(package, application)
            rows = [row for row in deployer.rows if row["package"] == package]
            counts = collections.Counter(row["outcome"] for row in rows).most_common()
            clean = sum(row["outcome"] == "deploys and goes" for row in rows)
            fewer += [package] if clean < DEPLOYING[package] else []
            line = f"{package}: {sum(map(len, applications))} templates, {len(rows)} with types that Barge has: "
            summary.append(line + ", ".join(f"{count} {outcome}" for outcome, count in counts))
            text += [f"## {summary[-1]}", "", *table(rows), ""]
    finally:
        server.stop()
    (directory / "others.md").write_text("\n".join(text))
    (directory / "others.json").write_text(json.dumps(deployer.rows, indent=1))
    print("\n".join(summary))
    # What was made is as its template says, and goes; and no fewer are made than before.
    wrong = [f"{row['template']} {row['outcome']}" for row in deployer.rows if row["outcome"] in ("drifts", "is not removed")]
    wrong += [f"of {package} fewer than {DEPLOYING[package]} deploy and go" for package in fewer]
    sys.exit("\n".join(wrong) or 0)


if __name__ == "__main__":
    main()
