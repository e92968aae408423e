"""CloudFormation's change sets with boto3: what they show, what they import, how they are deployed."""

import json

from test_cloudformation import QUICK, cloud, stacks  # noqa: F401 (fixtures)
from test_cloudformation_updates import group


def test_a_change_set_shows_each_resource_before_and_after(stacks, name):
    parameters = {"Secret": {"Type": "String", "NoEcho": True, "Default": "hush"}}
    kept = {"Group": {**group(f"{name}-g", 7), "Metadata": {"note": 1}, "DeletionPolicy": "Retain"}}
    stacks.made(name, {"Parameters": parameters, "Resources": {**kept, "Old": group(f"{name}-old")}})
    coming = {
        "Group": {**group(f"{name}-g", 14), "DeletionPolicy": "Retain"},
        "New": {"Type": "AWS::Logs::LogGroup"},
        "Stream": {"Type": "AWS::Logs::LogStream", "Properties": {"LogGroupName": {"Ref": "New"}, "LogStreamName": {"Ref": "Secret"}}},
    }
    made = stacks.client.create_change_set(
        StackName=name, ChangeSetName="c", TemplateBody=json.dumps({"Parameters": parameters, "Resources": coming}),
    )
    described = stacks.client.describe_change_set(ChangeSetName=made["Id"], IncludePropertyValues=True)
    changes = {c["ResourceChange"]["LogicalResourceId"]: c["ResourceChange"] for c in described["Changes"]}
    contexts = {
        key: [json.loads(change[side]) if side in change else None for side in ("BeforeContext", "AfterContext")]
        for key, change in changes.items()
    }
    before = {"Properties": {"LogGroupName": f"{name}-g", "RetentionInDays": 7}, "Metadata": {"note": 1}, "DeletionPolicy": "Retain"}
    after = {"Properties": {"LogGroupName": f"{name}-g", "RetentionInDays": 14}, "DeletionPolicy": "Retain"}
    later = "{{changeSet:KNOWN_AFTER_APPLY}}"
    assert contexts == {
        "Group": [before, after],
        "New": [None, {"Properties": {}}],
        "Stream": [None, {"Properties": {"LogGroupName": later, "LogStreamName": "****"}}],
        "Old": [{"Properties": {"LogGroupName": f"{name}-old", "RetentionInDays": 7}}, None],
    }
    plain = stacks.client.describe_change_set(ChangeSetName=made["Id"])
    assert not [c for c in plain["Changes"] if {"BeforeContext", "AfterContext"} & c["ResourceChange"].keys()]
    stacks.removed(name)
    stacks.server.client("logs").delete_log_group(logGroupName=f"{name}-g")


def test_a_deployment_says_how_it_is_carried_out(stacks, name):
    good, bad = group(f"{name}-g"), {"Type": "AWS::Logs::LogStream", "Properties": {"LogGroupName": "missing"}, "DependsOn": "Group"}
    body = json.dumps({"Resources": {"Group": good, "Stream": bad}})
    express = {"Mode": "EXPRESS"}
    stacks.client.create_stack(StackName=name, TemplateBody=body, DeploymentConfig=express)
    stack = stacks.settled(name)
    assert (stack["StackStatus"], stack["DeploymentConfig"]["Mode"], stack["DisableRollback"]) == ("CREATE_FAILED", "EXPRESS", True)
    stacks.removed(name)
    stacks.client.create_stack(StackName=name, TemplateBody=body, DeploymentConfig={**express, "DisableRollback": False})
    assert stacks.settled(name)["StackStatus"] == "ROLLBACK_COMPLETE"
    stacks.client.delete_stack(StackName=name, DeploymentConfig=express)
    stacks.client.get_waiter("stack_delete_complete").wait(StackName=stack["StackId"], WaiterConfig=QUICK)


def test_what_exists_is_imported_by_name(stacks, name):
    logs = stacks.server.client("logs")
    logs.create_log_group(logGroupName=f"{name}-g")
    logs.put_retention_policy(logGroupName=f"{name}-g", retentionInDays=7)
    body = json.dumps({"Resources": {"Group": {**group(f"{name}-g"), "DeletionPolicy": "Retain"}}})
    made = stacks.client.create_change_set(
        StackName=name, ChangeSetName="c", ChangeSetType="CREATE", TemplateBody=body, ImportExistingResources=True,
    )
    described = stacks.client.describe_change_set(ChangeSetName=made["Id"])
    change = described["Changes"][0]["ResourceChange"]
    assert (described["ImportExistingResources"], change["Action"], change["PhysicalResourceId"]) == (True, "Import", f"{name}-g")
    stacks.client.execute_change_set(ChangeSetName=made["Id"])
    assert stacks.settled(name)["StackStatus"] == "CREATE_COMPLETE"
    assert ("Group", "IMPORT_COMPLETE", "Resource import completed.") in stacks.events(name)
    # A change set that was executed can go, and its name is free again.
    stacks.client.delete_change_set(ChangeSetName=made["Id"])
    again = stacks.client.create_change_set(StackName=name, ChangeSetName="c", TemplateBody=body)
    assert stacks.client.describe_change_set(ChangeSetName=again["Id"])["Status"] == "FAILED"
    stacks.removed(name)
    assert logs.describe_log_groups(logGroupNamePrefix=f"{name}-g")["logGroups"]
    logs.delete_log_group(logGroupName=f"{name}-g")


def test_a_change_set_includes_the_nested_stacks(stacks, name):
    s3 = stacks.server.client("s3")
    s3.create_bucket(Bucket=name)

    def outer(days):
        inner = {"Parameters": {"Days": {"Type": "Number"}}, "Resources": {"Group": group(f"{name}-in", {"Ref": "Days"})}}
        s3.put_object(Bucket=name, Key="inner.json", Body=json.dumps(inner))
        nested = {"TemplateURL": f"{stacks.server.endpoint}/{name}/inner.json", "Parameters": {"Days": days}}
        return json.dumps({"Resources": {"Nested": {"Type": "AWS::CloudFormation::Stack", "Properties": nested}}})

    def proposed(kind, body, set_name):
        made = stacks.client.create_change_set(
            StackName=name, ChangeSetName=set_name, ChangeSetType=kind, TemplateBody=body, IncludeNestedStacks=True,
        )
        return stacks.client.describe_change_set(ChangeSetName=made["Id"], IncludePropertyValues=True)

    root = proposed("CREATE", outer(7), "first")
    below = root["Changes"][0]["ResourceChange"]["ChangeSetId"]
    child = stacks.client.describe_change_set(ChangeSetName=below)
    assert (child["ParentChangeSetId"], child["RootChangeSetId"]) == (root["ChangeSetId"], root["ChangeSetId"])
    assert child["Changes"][0]["ResourceChange"]["ResourceType"] == "AWS::Logs::LogGroup"
    stacks.client.execute_change_set(ChangeSetName=root["ChangeSetId"])
    assert stacks.settled(name)["StackStatus"] == "CREATE_COMPLETE"
    assert stacks.resources(name)["Nested"] == child["StackId"]

    same = proposed("UPDATE", outer(7), "same")
    assert (same["Status"], same["ExecutionStatus"]) == ("FAILED", "UNAVAILABLE")
    other = proposed("UPDATE", outer(14), "other")
    below = other["Changes"][0]["ResourceChange"]["ChangeSetId"]
    listed = stacks.client.list_change_sets(StackName=child["StackId"])["Summaries"]
    assert below in [s["ChangeSetId"] for s in listed if s["RootChangeSetId"] == other["ChangeSetId"]]
    stacks.client.execute_change_set(ChangeSetName=other["ChangeSetId"])
    assert stacks.settled(name)["StackStatus"] == "UPDATE_COMPLETE"
    assert stacks.client.describe_change_set(ChangeSetName=below)["ExecutionStatus"] == "EXECUTE_COMPLETE"
    stacks.removed(name)
    s3.delete_object(Bucket=name, Key="inner.json")
    s3.delete_bucket(Bucket=name)
