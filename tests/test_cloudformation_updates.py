"""CloudFormation with boto3 and the aws CLI: stacks that change, roll back, share values, nest, and wait for others."""

import functools
import io
import json
import random
import re
import time
import urllib.error
import urllib.request
import zipfile

import pytest
from botocore.exceptions import ClientError

from conftest import EXAMPLE, wait_for
from test_cloudformation import (  # noqa: F401 (cloud and stacks are fixtures)
    BUCKET, GROUP, QUICK, Stacks, cloud, example, forget_trigger, interrupted, inventory, outputs, refused, stacks,
    upload_trigger,
)

DENY = {"Statement": [{"Effect": "Deny", "Action": "Update:*", "Principal": "*", "Resource": "*"}]}


# What can't be made.
NOWHERE = {"Type": "AWS::Logs::LogStream", "Properties": {"LogGroupName": "nowhere", "LogStreamName": "s"}}


def group(name, days=7, **more):
    return {**GROUP, "Properties": {"LogGroupName": name, "RetentionInDays": days}, **more}


def stream(of, name):
    return {"Type": "AWS::Logs::LogStream", "Properties": {"LogGroupName": {"Ref": of}, "LogStreamName": name}}


def updated(stacks, stack, template, **options):
    """Updates the stack and gives it as it is then."""
    stacks.client.update_stack(StackName=stack, TemplateBody=json.dumps(template), **options)
    return stacks.settled(stack)


def groups(stacks, prefix=None):
    options = {"logGroupNamePrefix": prefix} if prefix else {}
    found = stacks.server.client("logs").describe_log_groups(**options)["logGroups"]
    return {g["logGroupName"]: g.get("retentionInDays") for g in found}


# Updates


def test_an_update_changes_replaces_adds_and_removes(stacks, name):
    old = {"Resources": {
        "Kept": group(f"{name}-kept"), "Renamed": group(f"{name}-old"),
        "Inside": stream("Renamed", "s"), "Gone": group(f"{name}-gone"),
    }}
    new = {"Resources": {
        "Kept": group(f"{name}-kept", 14), "Renamed": group(f"{name}-new"),
        "Inside": stream("Renamed", "s"), "More": BUCKET,
    }, "Outputs": {"Where": {"Value": {"Fn::GetAtt": ["Renamed", "Arn"]}}}}
    stacks.made(name, old)
    before = len(stacks.events(name))
    stacks.client.update_stack(StackName=name, TemplateBody=json.dumps(new), Tags=[{"Key": "team", "Value": "data"}])
    stacks.client.get_waiter("stack_update_complete").wait(StackName=name, WaiterConfig=QUICK)
    stack = stacks.stack(name)
    assert stack["StackStatus"] == "UPDATE_COMPLETE" and stack["LastUpdatedTime"] and stack["Tags"]
    assert groups(stacks, name) == {f"{name}-kept": 14, f"{name}-new": 7}
    assert outputs(stack)["Where"].endswith(f"{name}-new:*")
    assert set(stacks.resources(name)) == {"Kept", "Renamed", "Inside", "More"}
    bucket = stacks.resources(name)["More"]
    tags = stacks.server.client("s3").get_bucket_tagging(Bucket=bucket)["TagSet"]
    assert {"Key": "team", "Value": "data"} in tags
    events = stacks.events(name)[before:]
    replaced = "Requested update requires the creation of a new physical resource; hence creating one."
    assert [e for e in events if e[0] == "Renamed"] == [
        ("Renamed", "UPDATE_IN_PROGRESS", replaced),
        ("Renamed", "UPDATE_IN_PROGRESS", "Resource creation Initiated"),
        ("Renamed", "UPDATE_COMPLETE", None),
        ("Renamed", "DELETE_IN_PROGRESS", None),
        ("Renamed", "DELETE_COMPLETE", None),
    ]
    assert [e for e in events if e[0] == name] == [
        (name, "UPDATE_IN_PROGRESS", "User Initiated"),
        (name, "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS", None),
        (name, "UPDATE_COMPLETE", None),
    ]
    again = refused(stacks.client.update_stack, StackName=name, TemplateBody=json.dumps(new))
    assert again == "No updates are to be performed."
    assert stacks.removed(name)["StackStatus"] == "DELETE_COMPLETE"


def test_a_failed_update_is_rolled_back_with_its_events(stacks, name):
    old = {"Resources": {"Changed": group(f"{name}-a"), "Renamed": group(f"{name}-old")}}
    new = {"Resources": {
        "Changed": group(f"{name}-a", 30), "Renamed": group(f"{name}-new"), "Added": group(f"{name}-added"),
        "Bad": {**NOWHERE, "DependsOn": ["Changed", "Renamed", "Added"]},
    }}
    stacks.made(name, old)
    before, ids = len(stacks.events(name)), stacks.resources(name)
    stack = updated(stacks, name, new)
    assert stack["StackStatus"] == "UPDATE_ROLLBACK_COMPLETE", stacks.events(name)
    assert groups(stacks, name) == {f"{name}-a": 7, f"{name}-old": 7}
    assert stacks.resources(name) == ids
    events = stacks.events(name)[before:]
    stack_events = [e[1:] for e in events if e[0] == name]
    assert stack_events == [
        ("UPDATE_IN_PROGRESS", "User Initiated"),
        ("UPDATE_ROLLBACK_IN_PROGRESS", "The following resource(s) failed to create: [Bad]."),
        ("UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS", None),
        ("UPDATE_ROLLBACK_COMPLETE", None),
    ]
    back = [e[1] for e in events[[e[1] for e in events].index("UPDATE_ROLLBACK_IN_PROGRESS"):] if e[0] == "Changed"]
    assert back == ["UPDATE_IN_PROGRESS", "UPDATE_COMPLETE"]
    assert ("Added", "DELETE_COMPLETE", None) in events
    assert stacks.client.get_template(StackName=name)["TemplateBody"] == old
    with pytest.raises(ClientError):
        stacks.client.cancel_update_stack(StackName=name)
    # Without rollback it stays as it failed, until told otherwise.
    stack = updated(stacks, name, new, DisableRollback=True)
    assert stack["StackStatus"] == "UPDATE_FAILED"
    assert groups(stacks, name)[f"{name}-a"] == 30
    stacks.client.rollback_stack(StackName=name)
    assert stacks.settled(name)["StackStatus"] == "UPDATE_ROLLBACK_COMPLETE"
    assert groups(stacks, name) == {f"{name}-a": 7, f"{name}-old": 7}
    stacks.removed(name)


def test_policies_decide_what_may_change_and_what_stays(stacks, name):
    stacks.made(name, {"Resources": {"Group": group(f"{name}-a", UpdateReplacePolicy="Retain")}})
    stacks.client.set_stack_policy(StackName=name, StackPolicyBody=json.dumps(DENY))
    assert json.loads(stacks.client.get_stack_policy(StackName=name)["StackPolicyBody"]) == DENY
    new = {"Resources": {"Group": group(f"{name}-b", UpdateReplacePolicy="Retain")}}
    assert updated(stacks, name, new)["StackStatus"] == "UPDATE_ROLLBACK_COMPLETE"
    assert any("Action denied by stack policy" in (reason or "") for _, _, reason in stacks.events(name))
    allow = json.dumps(DENY).replace("Deny", "Allow")
    assert updated(stacks, name, new, StackPolicyDuringUpdateBody=allow)["StackStatus"] == "UPDATE_COMPLETE"
    assert set(groups(stacks, name)) == {f"{name}-a", f"{name}-b"}
    stacks.removed(name)
    stacks.server.client("logs").delete_log_group(logGroupName=f"{name}-a")


def test_a_stack_acts_for_its_role(stacks, name):
    iam = stacks.server.client("iam")
    trust = {"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Principal": {"Service": "cloudformation.amazonaws.com"}, "Action": "sts:AssumeRole"},
    ]}
    role = iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(trust))["Role"]["Arn"]
    template = {"Resources": {"Group": group(f"{name}-g")}}
    nobody = role + "-nobody"
    refusal = refused(stacks.create, name, template, RoleARN=nobody)
    assert refusal == f"Role {nobody} is invalid or cannot be assumed"
    assert stacks.made(name, template, RoleARN=role)["RoleARN"] == role
    stacks.removed(name)
    iam.delete_role(RoleName=name)


# Change sets


def test_the_cli_deploys_again_and_again(stacks, name, tmp_path):
    template = tmp_path / "template.json"
    deploy = ["cloudformation", "deploy", "--stack-name", name, "--template-file", template,
              "--no-fail-on-empty-changeset"]

    def cli(*arguments):
        # The CLI names its change sets by the second.
        second = int(time.time())
        wait_for(lambda: int(time.time()) != second, what="the next second")
        return stacks.server.cli(*arguments)

    def write(days):
        template.write_text(json.dumps({
            "Parameters": {"Days": {"Type": "Number", "Default": days}},
            "Resources": {"Group": group(f"{name}-g", {"Ref": "Days"})},
        }))

    write(7)
    cli(*deploy)
    assert cli(*deploy).stdout.strip().endswith(f"Stack {name} is up to date")
    write(14)
    # The parameter keeps its value where nothing is said of it.
    assert "up to date" in cli(*deploy).stdout
    cli(*deploy, "--parameter-overrides", "Days=14")
    assert groups(stacks, name) == {f"{name}-g": 14}
    held = cli(*deploy, "--parameter-overrides", "Days=30", "--no-execute-changeset")
    arn = re.search(r"arn:aws:cloudformation:\S+", held.stdout)[0]
    assert groups(stacks, name) == {f"{name}-g": 14}
    described = stacks.client.describe_change_set(ChangeSetName=arn)
    change, = described["Changes"]
    change = change["ResourceChange"]
    assert (change["Action"], change["Replacement"], change["Scope"]) == ("Modify", "False", ["Properties"])
    detail, = change["Details"]
    assert detail["CausingEntity"] == "Days" and detail["ChangeSource"] == "ParameterReference"
    assert detail["Target"] == {"Attribute": "Properties", "Name": "RetentionInDays", "RequiresRecreation": "Never"}
    values = stacks.client.describe_change_set(ChangeSetName=arn, IncludePropertyValues=True)
    target = values["Changes"][0]["ResourceChange"]["Details"][0]["Target"]
    assert (target["BeforeValue"], target["AfterValue"]) == ("14", "30")
    stacks.client.execute_change_set(ChangeSetName=arn)
    assert stacks.settled(name)["StackStatus"] == "UPDATE_COMPLETE"
    assert groups(stacks, name) == {f"{name}-g": 30}
    assert stacks.client.describe_change_set(ChangeSetName=arn)["ExecutionStatus"] == "EXECUTE_COMPLETE"
    stacks.removed(name)


def test_a_change_set_of_a_new_stack_is_reviewed(stacks, name):
    body = json.dumps({"Resources": {"Group": group(f"{name}-g")}})
    made = stacks.client.create_change_set(StackName=name, ChangeSetName="c", ChangeSetType="CREATE", TemplateBody=body)
    stacks.client.get_waiter("change_set_create_complete").wait(ChangeSetName=made["Id"], WaiterConfig=QUICK)
    assert stacks.stack(name)["StackStatus"] == "REVIEW_IN_PROGRESS"
    assert stacks.events(name) == [(name, "REVIEW_IN_PROGRESS", "User Initiated")]
    stacks.client.delete_change_set(ChangeSetName=made["Id"])
    assert stacks.client.list_change_sets(StackName=name)["Summaries"] == []
    assert stacks.removed(name)["StackStatus"] == "DELETE_COMPLETE"


def test_a_rollback_that_fails_goes_on_when_told(stacks, name):
    logs = stacks.server.client("logs")
    stacks.made(name, {"Resources": {"Group": group(f"{name}-g")}})
    before = len(stacks.events(name))
    # While the update waits for a signal that never comes, somebody takes away what its rollback would change back.
    waiting = {
        "Group": group(f"{name}-g", 14),
        "Handle": {"Type": "AWS::CloudFormation::WaitConditionHandle"},
        "Signal": {
            "Type": "AWS::CloudFormation::WaitCondition", "DependsOn": "Group",
            "Properties": {"Handle": {"Ref": "Handle"}, "Timeout": 2},
        },
    }
    stacks.client.update_stack(StackName=name, TemplateBody=json.dumps({"Resources": waiting}))
    wait_for(lambda: ("Group", "UPDATE_COMPLETE", None) in stacks.events(name)[before:], what="the change")
    logs.delete_log_group(logGroupName=f"{name}-g")
    assert stacks.settled(name)["StackStatus"] == "UPDATE_ROLLBACK_FAILED", stacks.events(name)

    failed = [reason for resource, status, reason in stacks.events(name)[before:] if (resource, status) == ("Group", "UPDATE_FAILED")]
    assert len(failed) == 1 and "does not exist" in failed[0]
    assert (name, "UPDATE_ROLLBACK_FAILED", "The following resource(s) failed to update: [Group].") in stacks.events(name)
    assert "UPDATE_ROLLBACK_FAILED state and can not be updated" in refused(
        stacks.client.update_stack, StackName=name, TemplateBody=json.dumps({"Resources": {"Group": group(f"{name}-g", 30)}}))
    assert "Other" in refused(stacks.client.continue_update_rollback, StackName=name, ResourcesToSkip=["Other"])

    stacks.client.continue_update_rollback(StackName=name)
    assert stacks.settled(name)["StackStatus"] == "UPDATE_ROLLBACK_FAILED"
    logs.create_log_group(logGroupName=f"{name}-g")
    logs.put_retention_policy(logGroupName=f"{name}-g", retentionInDays=14)
    stacks.client.continue_update_rollback(StackName=name, ResourcesToSkip=["Group"])
    stack = stacks.settled(name)
    assert stack["StackStatus"] == "UPDATE_ROLLBACK_COMPLETE", stacks.events(name)
    # What was skipped is as the update left it: the next one changes it.
    assert set(stacks.resources(name)) == {"Group"}
    assert updated(stacks, name, {"Resources": {"Group": group(f"{name}-g")}})["StackStatus"] == "UPDATE_COMPLETE"
    assert groups(stacks, name) == {f"{name}-g": 7}
    assert stacks.removed(name)["StackStatus"] == "DELETE_COMPLETE"


# Exports


def test_what_is_imported_can_not_be_changed(stacks, name):
    def exporting(value):
        return {"Resources": {"Group": group(f"{name}-g")}, "Outputs": {"O": {"Value": value, "Export": {"Name": name}}}}

    importing = {"Resources": {"Group": group({"Fn::ImportValue": name})}}
    stacks.made(name, exporting(f"{name}-shared"))
    stacks.made(f"{name}-user", importing)
    assert groups(stacks, f"{name}-shared") == {f"{name}-shared": 7}
    exports = stacks.client.list_exports()["Exports"]
    assert (name, f"{name}-shared") in [(e["Name"], e["Value"]) for e in exports]
    assert stacks.client.list_imports(ExportName=name)["Imports"] == [f"{name}-user"]
    in_use = f"Export {name} cannot be deleted as it is in use by {name}-user"
    assert refused(stacks.client.delete_stack, StackName=name) == in_use
    stack = updated(stacks, name, exporting("other"))
    assert stack["StackStatus"] == "UPDATE_ROLLBACK_COMPLETE"
    assert (name, "UPDATE_ROLLBACK_IN_PROGRESS", in_use.replace("deleted", "updated")) in stacks.events(name)
    stacks.removed(f"{name}-user")
    assert stacks.removed(name)["StackStatus"] == "DELETE_COMPLETE"


# Nested stacks


def test_packaged_nested_stacks_come_change_and_go(stacks, name, tmp_path):
    cli, s3 = stacks.server.cli, stacks.server.client("s3")
    s3.create_bucket(Bucket=name)
    inner, outer, packaged = (tmp_path / f"{part}.json" for part in ("inner", "outer", "packaged"))

    def deploy(days, suffix=""):
        second = int(time.time())
        wait_for(lambda: int(time.time()) != second, what="the next second")
        inner.write_text(json.dumps({
            "Parameters": {"Days": {"Type": "Number"}},
            "Resources": {"Group": group(f"{name}-inner{suffix}", {"Ref": "Days"})},
            "Outputs": {"Name": {"Value": {"Ref": "Group"}}},
        }))
        outer.write_text(json.dumps({"Resources": {
            "Nested": {"Type": "AWS::CloudFormation::Stack", "Properties": {
                "TemplateURL": "inner.json", "Parameters": {"Days": days},
            }},
            "Group": group({"Fn::Sub": "${Nested.Outputs.Name}-outer"}),
        }}))
        cli("cloudformation", "package", "--template-file", outer, "--s3-bucket", name,
            "--output-template-file", packaged, "--use-json", cwd=tmp_path)
        return cli("cloudformation", "deploy", "--stack-name", name, "--template-file", packaged, check=False)

    deployed = deploy(7)
    assert deployed.returncode == 0, (deployed, stacks.events(name))
    assert groups(stacks, name) == {f"{name}-inner": 7, f"{name}-inner-outer": 7}
    nested = stacks.stack(stacks.resources(name)["Nested"])
    assert nested["ParentId"] == nested["RootId"] == stacks.stack(name)["StackId"]
    deployed = deploy(14, "2")
    assert deployed.returncode == 0, (deployed, stacks.events(name))
    assert groups(stacks, name) == {f"{name}-inner2": 14, f"{name}-inner2-outer": 7}
    # What fails inside is undone, inside and outside.
    assert deploy(4242).returncode != 0
    assert stacks.stack(name)["StackStatus"] == "UPDATE_ROLLBACK_COMPLETE"
    assert groups(stacks, name) == {f"{name}-inner2": 14, f"{name}-inner2-outer": 7}
    assert any("was not successfully updated" in (reason or "") for _, _, reason in stacks.events(name))
    assert stacks.removed(name)["StackStatus"] == "DELETE_COMPLETE"
    assert stacks.stack(nested["StackId"])["StackStatus"] == "DELETE_COMPLETE"
    for found in s3.list_objects_v2(Bucket=name)["Contents"]:
        s3.delete_object(Bucket=name, Key=found["Key"])
    s3.delete_bucket(Bucket=name)


# Waiting for others

HANDLER = '''
import json, urllib.request

def handler(event, context):
    size = event["ResourceProperties"]["Size"]
    answer = {
        "Status": "FAILED" if size == "0" and event["RequestType"] != "Delete" else "SUCCESS",
        "Reason": "nothing is too small",
        "PhysicalResourceId": "thing-" + size if event["RequestType"] != "Delete" else event["PhysicalResourceId"],
        "StackId": event["StackId"], "RequestId": event["RequestId"],
        "LogicalResourceId": event["LogicalResourceId"],
        "Data": {"Double": str(2 * int(size))},
    }
    print(event["RequestType"], event.get("PhysicalResourceId"))
    request = urllib.request.Request(event["ResponseURL"], json.dumps(answer).encode(), method="PUT")
    urllib.request.urlopen(request)
'''


@pytest.fixture
def function(stacks, name):
    """A function that makes custom resources of a size; those of size 0 fail."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("index.py", HANDLER)
    trust = {"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"},
    ]}
    iam, functions = stacks.server.client("iam"), stacks.server.client("lambda")
    role = iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(trust))["Role"]["Arn"]
    yield functions.create_function(
        FunctionName=name, Runtime="python3.12", Handler="index.handler", Role=role, Code={"ZipFile": packed.getvalue()},
    )["FunctionArn"]
    functions.delete_function(FunctionName=name)
    iam.delete_role(RoleName=name)
    for found in groups(stacks, f"/aws/lambda/{name}"):
        stacks.server.client("logs").delete_log_group(logGroupName=found)


def test_a_function_makes_a_custom_resource(stacks, name, function):
    def template(size):
        return {
            "Resources": {"Thing": {"Type": "Custom::Thing", "Properties": {"ServiceToken": function, "Size": size}}},
            "Outputs": {"Double": {"Value": {"Fn::GetAtt": ["Thing", "Double"]}}},
        }

    stack = stacks.made(name, template(3))
    assert stack["StackStatus"] == "CREATE_COMPLETE", stacks.events(name)
    assert outputs(stack) == {"Double": "6"} and stacks.resources(name) == {"Thing": "thing-3"}
    stack = updated(stacks, name, template(4))
    assert stack["StackStatus"] == "UPDATE_COMPLETE", stacks.events(name)
    assert outputs(stack) == {"Double": "8"} and stacks.resources(name) == {"Thing": "thing-4"}
    assert updated(stacks, name, template(0))["StackStatus"] == "UPDATE_ROLLBACK_COMPLETE", stacks.events(name)
    failed = [reason for _, status, reason in stacks.events(name) if status == "UPDATE_FAILED"]
    assert failed and "nothing is too small" in failed[0]
    assert stacks.removed(name)["StackStatus"] == "DELETE_COMPLETE"
    stack = stacks.made(name, template(0))
    assert stack["StackStatus"] == "ROLLBACK_COMPLETE", stacks.events(name)
    stacks.removed(name)


def test_a_wait_condition_waits_for_its_signals(stacks, name):
    template = {"Resources": {
        "Handle": {"Type": "AWS::CloudFormation::WaitConditionHandle"},
        "Wait": {"Type": "AWS::CloudFormation::WaitCondition", "Properties": {
            "Handle": {"Ref": "Handle"}, "Timeout": 600, "Count": "2",
        }},
    }, "Outputs": {"Data": {"Value": {"Fn::GetAtt": ["Wait", "Data"]}}}}
    stacks.create(name, template)
    url = wait_for(lambda: stacks.resources(name).get("Handle"), what="the handle")
    for unique in ("a", "b"):
        body = {"Status": "SUCCESS", "Reason": "done", "UniqueId": unique, "Data": f"data of {unique}"}
        request = urllib.request.Request(url, json.dumps(body).encode(), method="PUT")
        assert urllib.request.urlopen(request).status == 200
    stack = stacks.settled(name)
    assert stack["StackStatus"] == "CREATE_COMPLETE"
    assert json.loads(outputs(stack)["Data"]) == {"a": "data of a", "b": "data of b"}
    with pytest.raises(urllib.error.HTTPError) as wrong:
        urllib.request.urlopen(urllib.request.Request(url + "x", b"{}", method="PUT"))
    assert wrong.value.code == 403
    stacks.removed(name)


# Drift


def test_what_others_removed_is_drift(stacks, name):
    stacks.made(name, {"Resources": {"A": group(f"{name}-a"), "B": group(f"{name}-b")}})
    stacks.server.client("logs").delete_log_group(logGroupName=f"{name}-a")
    detection = stacks.client.detect_stack_drift(StackName=name)["StackDriftDetectionId"]
    status = stacks.client.describe_stack_drift_detection_status(StackDriftDetectionId=detection)
    assert (status["DetectionStatus"], status["StackDriftStatus"]) == ("DETECTION_COMPLETE", "DRIFTED")
    drifts = stacks.client.describe_stack_resource_drifts(StackName=name)["StackResourceDrifts"]
    assert {d["LogicalResourceId"]: d["StackResourceDriftStatus"] for d in drifts} == {"A": "DELETED", "B": "IN_SYNC"}
    assert stacks.stack(name)["DriftInformation"]["StackDriftStatus"] == "DRIFTED"
    stacks.removed(name)


def test_what_is_not_there_is_refused_by_name(stacks, name):
    for call, options in [
        (stacks.client.estimate_template_cost, {"TemplateBody": "{}"}),
        (stacks.client.signal_resource, {"StackName": name, "LogicalResourceId": "x", "UniqueId": "u", "Status": "SUCCESS"}),
    ]:
        with pytest.raises(ClientError) as refusal:
            call(**options)
        assert refusal.value.response["Error"]["Code"] == "NotImplemented"


# The example


def test_the_example_changes(stacks, name):
    server = stacks.server
    upload_trigger(server, f"{name}-code")
    before = inventory(server)
    stacks.settled(example(stacks, name, f"{name}-code"))
    made = inventory(server)
    text = (EXAMPLE / "template.yaml").read_text()
    changed = text.replace("MaxvCpus: 40", "MaxvCpus: 20")
    assert changed != text
    previous = [{"ParameterKey": key, "UsePreviousValue": True} for key in ("CodeBucket", "CodeKey")]
    options = {"StackName": name, "Parameters": previous, "Capabilities": ["CAPABILITY_IAM"]}
    assert refused(stacks.client.update_stack, UsePreviousTemplate=True, **options) == "No updates are to be performed."
    stacks.client.update_stack(TemplateBody=changed, **options)
    assert stacks.settled(name)["StackStatus"] == "UPDATE_COMPLETE", stacks.events(name)
    environments = server.client("batch").describe_compute_environments(computeEnvironments=[f"{name}-fargate"])
    assert environments["computeEnvironments"][0]["computeResources"]["maxvCpus"] == 20
    assert inventory(server) == made
    assert stacks.removed(name)["StackStatus"] == "DELETE_COMPLETE", stacks.events(name)
    assert inventory(server) == before
    forget_trigger(server, f"{name}-code")


# kill -9


@pytest.mark.parametrize("fails", [False, True], ids=["forward", "back"])
def test_a_killed_server_ends_its_updates_and_leaves_nothing(own_server, fails):
    seed = random.SystemRandom().randrange(1 << 32)
    print(f"seed {seed}")  # pytest shows it where the test fails
    chance = random.Random(seed)
    stacks = Stacks(own_server)
    s3 = own_server.client("s3")
    s3.create_bucket(Bucket="templates")
    inner = {"Parameters": {"Days": {"Type": "Number"}}, "Resources": {"Group": group("inner", {"Ref": "Days"})}}
    s3.put_object(Bucket="templates", Key="inner.json", Body=json.dumps(inner).encode())
    before = inventory(own_server)

    def template(number, bad=False):
        resources = {
            "Changed": group("changed", [7, 14, 30][number % 3]),
            "Renamed": group(f"renamed-{number}"),
            "Inside": stream("Renamed", "s"),
            "Nested": {"Type": "AWS::CloudFormation::Stack", "Properties": {
                "TemplateURL": f"{own_server.endpoint}/templates/inner.json",
                "Parameters": {"Days": [7, 14, 30][number % 3]},
            }},
            f"Only{number}": {**BUCKET, "DependsOn": "Inside"},
            "Network": {"Type": "AWS::EC2::VPC", "Properties": {"CidrBlock": f"10.{number}.0.0/16"}},
            "Subnet": {"Type": "AWS::EC2::Subnet", "Properties": {
                "VpcId": {"Ref": "Network"}, "CidrBlock": f"10.{number}.1.0/24",
            }},
        }
        if bad:
            resources["Bad"] = {**NOWHERE, "DependsOn": ["Changed", "Nested", f"Only{number}", "Subnet"]}
        return {"Resources": resources}

    stacks.made("s", template(0))
    good, state = 0, None
    for number in range(1, 7):
        body = json.dumps(template(number, fails))
        held = inventory(own_server)
        updates = functools.partial(stacks.client.update_stack, StackName="s", TemplateBody=body)
        interrupted(own_server, updates, chance.uniform(0, 0.2))
        for _ in range(2):
            time.sleep(chance.uniform(0, 0.1))
            own_server.kill()
            own_server.start()
        state = stacks.settled("s")
        assert len(stacks.client.describe_stacks()["Stacks"]) == 2
        begun = stacks.client.get_template(StackName="s")["TemplateBody"]
        if fails:
            assert state["StackStatus"] in ("UPDATE_ROLLBACK_COMPLETE", "CREATE_COMPLETE"), stacks.events("s")
            assert inventory(own_server) == held, stacks.events("s")
            assert groups(stacks) == {"changed": 7, "inner": 7, "renamed-0": 7}
            assert begun == template(good)
        else:
            assert state["StackStatus"] in ("UPDATE_COMPLETE", "CREATE_COMPLETE"), stacks.events("s")
            # An update that was not acknowledged may never have been.
            good = number if begun == template(number) else good
            assert begun == template(good)
            assert set(stacks.resources("s")) == set(template(good)["Resources"])
            days = [7, 14, 30][good % 3]
            assert groups(stacks) == {"changed": days, "inner": days, f"renamed-{good}": 7}
            assert {kind for kind, _ in inventory(own_server) ^ held} <= {"log group", "bucket", "vpc", "subnet", "route table", "security group", "acl"}
            assert len(inventory(own_server)) == len(held)
    assert stacks.removed("s")["StackStatus"] == "DELETE_COMPLETE"
    assert inventory(own_server) == before
    assert stacks.client.describe_stacks()["Stacks"] == []
