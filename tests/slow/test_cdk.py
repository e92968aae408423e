"""The CDK, unmodified: examples/csv-to-table/cdk is bootstrapped, deployed, run, changed and destroyed with aws-cdk from npm."""

import shutil
import subprocess

import pytest

from conftest import ACCOUNT, BARGE, EXAMPLE, REGION, Server, needs, wait_for
from test_pipeline import BINARIES, products

APPLICATION = EXAMPLE / "cdk"
STACK = "csv-to-table-cdk"


class Application:
    """The example's CDK application in a folder of its own, and the `cdk` that its package.json asks for."""

    def __init__(self, server, directory):
        self.server, self.home = server, directory / "application"
        shutil.copytree(APPLICATION, self.home, ignore=shutil.ignore_patterns("node_modules", "cdk.out"))
        subprocess.run(
            [needs("npm", "npm"), "install", "--silent", "--no-audit", "--no-fund", "--no-package-lock"],
            cwd=self.home, check=True, timeout=300,
        )
        trigger = directory / "trigger"
        trigger.mkdir()
        shutil.copy(BINARIES / "trigger", trigger / "bootstrap")
        self.settings = {"TRIGGER": str(trigger), "HOME": str(directory), "CDK_DISABLE_CLI_TELEMETRY": "true"}

    def cdk(self, *arguments, check=True):
        """Runs `cdk` and gives what it printed."""
        done = subprocess.run(
            ["node", self.home / "node_modules/aws-cdk/bin/cdk", *arguments], cwd=self.home, timeout=300,
            env={**self.server.environment(), **self.settings}, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )
        assert not check or done.returncode == 0, done.stdout
        return done.stdout

    def deploy(self, *options):
        return self.cdk("deploy", "--require-approval", "never", *options)

    def stack(self, name=STACK):
        return self.server.client("cloudformation").describe_stacks(StackName=name)["Stacks"][0]

    def outputs(self):
        return {output["OutputKey"]: output["OutputValue"] for output in self.stack()["Outputs"]}


@pytest.fixture(scope="module")
def application(tmp_path_factory):
    directory = tmp_path_factory.mktemp("cdk")
    server = Server(directory / "data").start()
    yield Application(server, directory)
    assert server.stop() == 0


def rows(server, table):
    pages = server.client("dynamodb").get_paginator("scan").paginate(TableName=table, ConsistentRead=True)
    return {item["ProductId"]["S"] for page in pages for item in page["Items"]}


def test_an_account_is_bootstrapped_once(application):
    assert "bootstrapped" in application.cdk("bootstrap")
    toolkit = application.stack("CDKToolkit")
    assert toolkit["StackStatus"] == "CREATE_COMPLETE" and toolkit["EnableTerminationProtection"] is False
    staging = f"cdk-hnb659fds-assets-{ACCOUNT}-{REGION}"
    s3 = application.server.client("s3")
    assert s3.get_bucket_versioning(Bucket=staging)["Status"] == "Enabled"
    rules = s3.get_bucket_lifecycle_configuration(Bucket=staging)["Rules"]
    assert {rule["ID"] for rule in rules} == {"CleanupOldVersions", "AbortIncompleteMultipartUploads"}
    assert "(no changes)" in application.cdk("bootstrap")


def test_the_application_deploys_and_its_pipeline_runs(application, tmp_path):
    printed = application.deploy()
    assert f"{STACK}.BucketName = " in printed
    assert application.stack()["StackStatus"] == "CREATE_COMPLETE"
    outputs, server = application.outputs(), application.server
    layout = tmp_path / "image"
    subprocess.run([BARGE, "image", "pack", "--binary", BINARIES / "loader", "--output", layout], check=True, capture_output=True)
    server.barge("image", "push", layout, f"127.0.0.1:{server.port}/{outputs['RepositoryUri'].split('/', 1)[1]}:latest")
    lines = ["ProductId,ProductName,ProductDescription", *(f'{i},{n},"{d}"' for i, n, d in products("cdk", 20))]
    server.client("s3").put_object(Bucket=outputs["BucketName"], Key="products.csv", Body="\n".join(lines).encode())
    wait_for(lambda: len(rows(server, outputs["TableName"])) == 20, what="the last row")


def test_a_change_is_seen_deployed_and_no_longer_seen(application):
    more = ("--context", "maxvCpus=8")
    assert "There were no differences" in application.cdk("diff")
    difference = application.cdk("diff", *more)
    assert "MaxvCpus" in difference and "requires replacement" not in difference, difference
    application.deploy(*more)
    assert application.stack()["StackStatus"] == "UPDATE_COMPLETE"
    environments = application.server.client("batch").describe_compute_environments()["computeEnvironments"]
    assert [e["computeResources"]["maxvCpus"] for e in environments] == [8]
    assert "(no changes)" in application.deploy(*more)
    application.deploy()


def test_drift_is_told_by_the_cdk(application):
    assert "No drift detected" in application.cdk("drift")
    queue = application.outputs()["JobQueueName"]
    application.server.client("batch").update_job_queue(jobQueue=queue, priority=7)
    drifted = application.cdk("drift", check=False)
    assert "Priority" in drifted and "1 resource has drifted" in drifted, drifted
    application.server.client("batch").update_job_queue(jobQueue=queue, priority=1)


NESTED = """
const { App, NestedStack, Stack, aws_logs: logs } = require('aws-cdk-lib');
const stack = new Stack(new App(), 'nested');
const inner = new NestedStack(stack, 'Inner');
const group = new logs.LogGroup(inner, 'Group', { retention: Number(stack.node.tryGetContext('days')) });
new logs.LogStream(stack, 'Stream', { logGroup: group });
if (stack.node.tryGetContext('bad')) new logs.CfnLogStream(stack, 'Bad', { logGroupName: 'missing' });
"""


def test_nested_stacks_are_seen_deployed_and_rolled_back(application):
    (application.home / "nested.js").write_text(NESTED)
    app = ("--app", "node nested.js")

    def retention():
        groups = application.server.client("logs").describe_log_groups(logGroupNamePrefix="nested-")["logGroups"]
        return [group["retentionInDays"] for group in groups]

    application.deploy(*app, "--context", "days=7")
    assert retention() == [7]
    difference = application.cdk("diff", *app, "--context", "days=14")
    assert "RetentionInDays" in difference and "Number of stacks with differences: 2" in difference, difference
    application.deploy(*app, "--context", "days=14")
    assert retention() == [14]
    failed = application.cdk("deploy", *app, "--context", "days=30", "--context", "bad=1", "--require-approval", "never", check=False)
    assert "The specified log group does not exist" in failed, failed
    assert application.stack("nested")["StackStatus"] == "UPDATE_ROLLBACK_COMPLETE" and retention() == [14]
    application.cdk("destroy", *app, "--force", "--context", "days=14")


HANDLERS = """
const { App, RemovalPolicy, Stack, aws_dynamodb: dynamodb, aws_s3: s3, custom_resources: custom } = require('aws-cdk-lib');
const stack = new Stack(new App(), 'handlers');
new s3.Bucket(stack, 'Bucket', { bucketName: 'handled', versioned: true, autoDeleteObjects: true, removalPolicy: RemovalPolicy.DESTROY });
const table = new dynamodb.TableV2(stack, 'Table', {
  partitionKey: { name: 'k', type: dynamodb.AttributeType.STRING }, removalPolicy: RemovalPolicy.DESTROY,
});
const call = {
  service: 'dynamodb', action: 'putItem', parameters: { TableName: table.tableName, Item: { k: { S: 'written' } } },
  physicalResourceId: custom.PhysicalResourceId.of('row'),
};
const policy = custom.AwsCustomResourcePolicy.fromSdkCalls({ resources: custom.AwsCustomResourcePolicy.ANY_RESOURCE });
new custom.AwsCustomResource(stack, 'Row', { onCreate: call, policy, installLatestAwsSdk: false });
"""


def test_the_handlers_that_the_cdk_brings_do_their_work(application):
    """Custom resources in Node.js with AWS's SDK: one calls DynamoDB, one empties a bucket with versions before it goes."""
    (application.home / "handlers.js").write_text(HANDLERS)
    app, server = ("--app", "node handlers.js"), application.server
    application.deploy(*app)
    table, = (name for name in server.client("dynamodb").list_tables()["TableNames"] if name.startswith("handlers-"))
    assert server.client("dynamodb").scan(TableName=table)["Items"] == [{"k": {"S": "written"}}]
    for body in (b"one", b"two"):
        server.client("s3").put_object(Bucket="handled", Key="k", Body=body)
    application.cdk("destroy", *app, "--force")
    assert "handled" not in [bucket["Name"] for bucket in server.client("s3").list_buckets()["Buckets"]]


def test_what_is_destroyed_is_gone(application):
    outputs, server = application.outputs(), application.server
    s3 = server.client("s3")
    refused = application.cdk("destroy", "--force", check=False)
    assert "is not empty" in refused, refused
    versions = s3.list_object_versions(Bucket=outputs["BucketName"])
    for version in versions.get("Versions", []) + versions.get("DeleteMarkers", []):
        s3.delete_object(Bucket=outputs["BucketName"], Key=version["Key"], VersionId=version["VersionId"])
    application.cdk("destroy", "--force")
    assert [stack["StackName"] for stack in server.client("cloudformation").describe_stacks()["Stacks"]] == ["CDKToolkit"]
    assert server.client("dynamodb").list_tables()["TableNames"] == []
    assert server.client("batch").describe_compute_environments()["computeEnvironments"] == []
    repositories = server.client("ecr").describe_repositories()["repositories"]
    assert [r["repositoryName"] for r in repositories] == [f"cdk-hnb659fds-container-assets-{ACCOUNT}-{REGION}"]
