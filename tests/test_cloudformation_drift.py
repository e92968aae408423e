"""CloudFormation drift: resources are changed behind their stack's back with their service's own API, and found out.

That nothing has drifted right after any deployment of any test is what `conftest.expect_no_drift` sees to.
"""

import io
import json
import zipfile

import pytest
from botocore.exceptions import ClientError, WaiterError

from fixtures_drift import BATCH, CHANGES, LOGS, NETWORK, PARAMETER, PEOPLE, REPOSITORY, ROLE, TEMPLATES, att, make, ref

QUICK = {"Delay": 0.1, "MaxAttempts": 600}
ALL = ["CAPABILITY_NAMED_IAM"]


class Stack:
    def __init__(self, formation, name, resources, tags=(), **template):
        self.formation, self.name = formation, name
        self.resources = resources
        self.template = template
        formation.create_stack(
            StackName=name, TemplateBody=self.body(), Capabilities=ALL, Tags=[{"Key": k, "Value": v} for k, v in tags])
        try:
            formation.get_waiter("stack_create_complete").wait(StackName=name, WaiterConfig=QUICK)
        except WaiterError:
            events = formation.describe_stack_events(StackName=name)["StackEvents"]
            raise AssertionError([e.get("ResourceStatusReason") for e in events if "FAILED" in e["ResourceStatus"]])

    def body(self):
        return json.dumps({"Resources": self.resources, **self.template})

    def update(self, tags=()):
        tags = [{"Key": k, "Value": v} for k, v in tags]
        self.formation.update_stack(StackName=self.name, TemplateBody=self.body(), Capabilities=ALL, Tags=tags)
        self.formation.get_waiter("stack_update_complete").wait(StackName=self.name, WaiterConfig=QUICK)

    def ids(self):
        found = self.formation.describe_stack_resources(StackName=self.name)["StackResources"]
        return {r["LogicalResourceId"]: r["PhysicalResourceId"] for r in found}

    def detect(self, **chosen):
        """Detects drift, and gives the detection and what was found of each resource."""
        detection = self.formation.detect_stack_drift(StackName=self.name, **chosen)["StackDriftDetectionId"]
        status = self.formation.describe_stack_drift_detection_status(StackDriftDetectionId=detection)
        assert status["DetectionStatus"] == "DETECTION_COMPLETE", status.get("DetectionStatusReason")
        found = self.formation.describe_stack_resource_drifts(StackName=self.name)["StackResourceDrifts"]
        return status, {drift["LogicalResourceId"]: drift for drift in found}

    def differences(self, resource):
        drift = self.detect()[1][resource]
        found = [(d["PropertyPath"], d["ExpectedValue"], d["ActualValue"], d["DifferenceType"])
                 for d in drift["PropertyDifferences"]]
        assert drift["StackResourceDriftStatus"] == ("MODIFIED" if found else "IN_SYNC")
        return found

    def delete(self):
        self.formation.delete_stack(StackName=self.name)
        self.formation.get_waiter("stack_delete_complete").wait(StackName=self.name, WaiterConfig=QUICK)


def named(resources, name):
    """The resources with the test's name where they say NAME, also as the name of a function that a permission is for."""
    resources = json.loads(json.dumps(resources).replace("NAME", name))
    if "Permission" in resources:
        resources["X"]["Properties"]["FunctionName"] = name
        resources["Permission"]["DependsOn"] = "X"
    return resources


def test_every_type_is_in_a_template_here(server):
    types = {line.split()[0] for line in server.barge("resources").stdout.splitlines()}
    used = {resource["Type"] for template in TEMPLATES.values() for resource in template.values()}
    assert {name for name in types - used if not name.startswith(("AWS::CloudFormation::", "AWS::CDK::"))} == set()


@pytest.mark.parametrize("template", TEMPLATES)
def test_nothing_drifts_by_being_made_or_updated(aws, name, template):
    if template == "layers":
        archive = io.BytesIO()
        with zipfile.ZipFile(archive, "w") as layer:
            layer.writestr("python/x.py", "")
        aws("s3").create_bucket(Bucket=name)
        aws("s3").put_object(Bucket=name, Key="layer.zip", Body=archive.getvalue())
    stack = Stack(aws("cloudformation"), name, named(TEMPLATES[template], name), [("team", "data"), ("old", "x")])
    statuses = lambda: {r: d["StackResourceDriftStatus"] for r, d in stack.detect()[1].items()}
    expected = dict.fromkeys(stack.resources, "IN_SYNC")
    assert statuses() == expected
    stack.update([("team", "web"), ("new", "y")])
    assert statuses() == expected
    stack.delete()


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_is_found_and_goes_with_its_undoing(aws, name, change):
    resources, resource, service, meddle, undo, expected = CHANGES[change]
    stack, client = Stack(aws("cloudformation"), name, named(resources, name)), aws(service)
    ids = stack.ids()
    assert stack.differences(resource) == []
    meddle(client, ids)
    found = stack.differences(resource)
    # `None` stands for a value that only this stack has.
    told = [(path, known and value, actual, kind) for (path, value, actual, kind), (_, known, *_) in zip(found, expected)]
    assert (len(found), told) == (len(expected), expected)
    # Nothing else has drifted; but a role whose policy is no longer that of the resource that attached it.
    status, drifts = stack.detect()
    drifted = {resource, "Role"} if resource == "Inline" else {resource}
    assert {r for r, d in drifts.items() if d["StackResourceDriftStatus"] != "IN_SYNC"} == drifted
    assert (status["StackDriftStatus"], status["DriftedStackResourceCount"]) == ("DRIFTED", len(drifted))
    undo(client, ids)
    assert stack.differences(resource) == []
    stack.delete()


GONE = {
    "Group": ("logs", lambda c, ids: c.delete_log_group(logGroupName=ids["Group"])),
    "Filter": ("logs", lambda c, ids: c.delete_metric_filter(logGroupName=ids["Group"], filterName=ids["Filter"])),
    "Stream": ("logs", lambda c, ids: c.delete_log_stream(logGroupName=ids["Group"], logStreamName=ids["Stream"])),
}


@pytest.mark.parametrize("resource", GONE)
def test_what_is_deleted_is_found_deleted(aws, name, resource):
    service, delete = GONE[resource]
    stack = Stack(aws("cloudformation"), name, LOGS)
    delete(aws(service), stack.ids())
    status, drifts = stack.detect()
    drift = drifts[resource]
    assert (drift["StackResourceDriftStatus"], drift["PropertyDifferences"]) == ("DELETED", [])
    assert "ActualProperties" not in drift and "ExpectedProperties" not in drift
    assert status["StackDriftStatus"] == "DRIFTED"
    stack.delete()


def test_a_deregistered_definition_is_deleted(aws, name):
    stack = Stack(aws("cloudformation"), name, BATCH)
    aws("batch").deregister_job_definition(jobDefinition=stack.ids()["Definition"])
    assert stack.detect()[1]["Definition"]["StackResourceDriftStatus"] == "DELETED"
    stack.delete()


def test_properties_are_told_as_they_were_set_and_as_they_are(aws, name):
    stack = Stack(aws("cloudformation"), name, {"X": PARAMETER | {"Properties": PARAMETER["Properties"] | {"Value": "one"}}})
    physical = stack.ids()["X"]
    aws("ssm").put_parameter(Name=physical, Value="two", Overwrite=True)
    drift = stack.formation.detect_stack_resource_drift(StackName=name, LogicalResourceId="X")["StackResourceDrift"]
    assert json.loads(drift["ExpectedProperties"]) == {"Type": "String", "Value": "one", "Description": "d", "Tags": {"a": "b"}}
    actual = json.loads(drift["ActualProperties"])
    assert (actual["Value"], actual["Tags"], list(actual)[:2]) == ("two", {"a": "b"}, ["Type", "Value"])
    assert (drift["ResourceType"], drift["PhysicalResourceId"]) == ("AWS::SSM::Parameter", physical)


def test_the_statuses_are_shown_wherever_stacks_and_resources_are(aws, name):
    formation = aws("cloudformation")
    resources = {
        "Group": make("Logs::LogGroup", RetentionInDays=7), "Same": make("Logs::LogGroup"),
        "Handle": {"Type": "AWS::CloudFormation::WaitConditionHandle"},
    }
    stack = Stack(formation, name, resources)
    aws("logs").put_retention_policy(logGroupName=stack.ids()["Group"], retentionInDays=14)
    stack.detect()
    expected = {"Group": "MODIFIED", "Same": "IN_SYNC", "Handle": "NOT_CHECKED"}
    described = formation.describe_stack_resources(StackName=name)["StackResources"]
    listed = formation.list_stack_resources(StackName=name)["StackResourceSummaries"]
    for shown in (described, listed):
        found = {r["LogicalResourceId"]: r["DriftInformation"]["StackResourceDriftStatus"] for r in shown}
        assert found == expected
    one = formation.describe_stack_resource(StackName=name, LogicalResourceId="Group")["StackResourceDetail"]
    assert one["DriftInformation"]["StackResourceDriftStatus"] == "MODIFIED"
    assert formation.describe_stacks(StackName=name)["Stacks"][0]["DriftInformation"]["StackDriftStatus"] == "DRIFTED"
    summaries = [s for page in formation.get_paginator("list_stacks").paginate() for s in page["StackSummaries"]]
    assert {s["DriftInformation"]["StackDriftStatus"] for s in summaries if s["StackName"] == name} == {"DRIFTED"}
    drifts = formation.describe_stack_resource_drifts(StackName=name, StackResourceDriftStatusFilters=["MODIFIED"])
    assert [d["LogicalResourceId"] for d in drifts["StackResourceDrifts"]] == ["Group"]
    with pytest.raises(ClientError, match="WaitConditionHandle"):
        formation.detect_stack_resource_drift(StackName=name, LogicalResourceId="Handle")


def test_a_hidden_parameter_is_never_told(aws, name):
    stack = Stack(
        aws("cloudformation"), name,
        {"X": make("SSM::Parameter", Type="String", Value={"Fn::Sub": "user:${Secret}"})},
        Parameters={"Secret": {"Type": "String", "NoEcho": True, "Default": "hunter2"}})
    aws("ssm").put_parameter(Name=stack.ids()["X"], Value="user:correct-horse", Overwrite=True)
    drift = stack.detect()[1]["X"]
    assert drift["StackResourceDriftStatus"] == "MODIFIED"
    assert drift["PropertyDifferences"] == [
        {"PropertyPath": "/Value", "ExpectedValue": "user:****", "ActualValue": "****", "DifferenceType": "NOT_EQUAL"}]
    assert "hunter2" not in str(drift) and "horse" not in str(drift)


def test_the_stacks_own_tags_are_no_drift_and_others_are(aws, name):
    tags = [("team", "data")]
    resources = {
        "Group": make("Logs::LogGroup", Tags=[{"Key": "a", "Value": "b"}]), "Role": ROLE, "Parameter": PARAMETER,
        "Repository": REPOSITORY | {"Properties": {"Tags": []}}, "Vpc": NETWORK["Vpc"], "Batch": BATCH["Environment"],
    }
    stack = Stack(aws("cloudformation"), name, resources, tags)
    assert {d["StackResourceDriftStatus"] for d in stack.detect()[1].values()} == {"IN_SYNC"}
    aws("logs").tag_log_group(logGroupName=stack.ids()["Group"], tags={"team": "web"})
    assert stack.differences("Group") == [("/Tags/1", "null", '{"Key":"team","Value":"web"}', "ADD")]
    stack.delete()


def test_what_another_resource_of_the_stack_attaches_is_no_drift(aws, name):
    stack = Stack(aws("cloudformation"), name, {**PEOPLE, **NETWORK, "Group": PEOPLE["Group"], "Firewall": NETWORK["Group"],
        "In": make("EC2::SecurityGroupIngress", GroupId=att("Firewall", "GroupId"), IpProtocol="tcp", FromPort=22, ToPort=22,
                   SourceSecurityGroupId=att("Firewall", "GroupId")),
        "Out": make("EC2::SecurityGroupEgress", GroupId=ref("Firewall"), IpProtocol="-1", CidrIp="10.0.0.0/8")})
    assert {d["StackResourceDriftStatus"] for d in stack.detect()[1].values()} == {"IN_SYNC"}
    stack.delete()


def test_an_update_that_sets_what_was_changed_ends_the_drift(aws, name):
    stack = Stack(aws("cloudformation"), name, {"X": make("Logs::LogGroup", RetentionInDays=7)})
    aws("logs").put_retention_policy(logGroupName=stack.ids()["X"], retentionInDays=14)
    assert stack.differences("X") == [("/RetentionInDays", "7", "14", "NOT_EQUAL")]
    stack.resources["X"]["Properties"]["RetentionInDays"] = 14
    stack.update()
    assert stack.differences("X") == []


def test_only_the_resources_that_are_asked_for_are_looked_at(aws, name):
    stack = Stack(aws("cloudformation"), name, {"A": make("Logs::LogGroup"), "B": make("Logs::LogGroup")})
    before = stack.detect()[1]
    for group in stack.ids().values():
        aws("logs").delete_log_group(logGroupName=group)
    found = stack.detect(LogicalResourceIds=["A"])[1]
    assert (found["A"]["StackResourceDriftStatus"], found["B"]) == ("DELETED", before["B"])
    with pytest.raises(ClientError, match="Nobody"):
        stack.detect(LogicalResourceIds=["Nobody"])


def test_drift_with_the_cli(server, aws, name):
    stack = Stack(aws("cloudformation"), name, {"X": make("Logs::LogGroup", RetentionInDays=7)})
    aws("logs").put_retention_policy(logGroupName=stack.ids()["X"], retentionInDays=14)
    cli = lambda *arguments: json.loads(server.cli("cloudformation", *arguments).stdout)
    detection = cli("detect-stack-drift", "--stack-name", name)["StackDriftDetectionId"]
    status = cli("describe-stack-drift-detection-status", "--stack-drift-detection-id", detection)
    assert (status["DetectionStatus"], status["StackDriftStatus"]) == ("DETECTION_COMPLETE", "DRIFTED")
    drifts = cli("describe-stack-resource-drifts", "--stack-name", name)["StackResourceDrifts"]
    assert [d["PropertyPath"] for d in drifts[0]["PropertyDifferences"]] == ["/RetentionInDays"]
    one = cli("detect-stack-resource-drift", "--stack-name", name, "--logical-resource-id", "X")["StackResourceDrift"]
    assert one["StackResourceDriftStatus"] == "MODIFIED"
