"""CloudFormation with boto3 and the aws CLI: stacks that are made, refused, rolled back and removed without a trace.

The module has a server to itself, so that what a stack leaves behind shows as a difference between two inventories.
"""

import base64
import functools
import io
import json
import pathlib
import random
import subprocess
import sys
import threading
import time
import zipfile

import pytest
from botocore.exceptions import BotoCoreError, ClientError

from conftest import ACCOUNT, EXAMPLE, REGION, Server, wait_for

BINARIES = next(iter(sorted(EXAMPLE.glob("target/*-gnu/release"))), EXAMPLE / "target/release")
TRUST = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}],
}
QUICK = {"Delay": 0.05, "MaxAttempts": 600}


@functools.cache
def client(server, service):
    """A client that is made once: an inventory asks many."""
    return server.client(service)


def inventory(server):
    """Everything on the server that a template can make, as (kind, id) pairs."""
    ec2, iam, batch = (client(server, service) for service in ("ec2", "iam", "batch"))
    ids = {
        "vpc": (ec2.describe_vpcs, "Vpcs", "VpcId"),
        "subnet": (ec2.describe_subnets, "Subnets", "SubnetId"),
        "internet gateway": (ec2.describe_internet_gateways, "InternetGateways", "InternetGatewayId"),
        "address": (ec2.describe_addresses, "Addresses", "AllocationId"),
        "route table": (ec2.describe_route_tables, "RouteTables", "RouteTableId"),
        "security group": (ec2.describe_security_groups, "SecurityGroups", "GroupId"),
        "interface": (ec2.describe_network_interfaces, "NetworkInterfaces", "NetworkInterfaceId"),
        "acl": (ec2.describe_network_acls, "NetworkAcls", "NetworkAclId"),
        "endpoint": (ec2.describe_vpc_endpoints, "VpcEndpoints", "VpcEndpointId"),
        "role": (iam.list_roles, "Roles", "RoleName"),
        "profile": (iam.list_instance_profiles, "InstanceProfiles", "InstanceProfileName"),
        "policy": (lambda: iam.list_policies(Scope="Local"), "Policies", "PolicyName"),
        "environment": (batch.describe_compute_environments, "computeEnvironments", "computeEnvironmentName"),
        "queue": (batch.describe_job_queues, "jobQueues", "jobQueueName"),
        "definition": (lambda: batch.describe_job_definitions(status="ACTIVE"), "jobDefinitions", "jobDefinitionArn"),
        "bucket": (client(server, "s3").list_buckets, "Buckets", "Name"),
        "function": (client(server, "lambda").list_functions, "Functions", "FunctionName"),
        "log group": (client(server, "logs").describe_log_groups, "logGroups", "logGroupName"),
        "repository": (client(server, "ecr").describe_repositories, "repositories", "repositoryName"),
    }
    found = {(kind, thing[key]) for kind, (call, member, key) in ids.items() for thing in call()[member]}
    found |= {("table", table) for table in client(server, "dynamodb").list_tables()["TableNames"]}
    # As on AWS, a deleted NAT gateway is described for a while.
    gateways = ec2.describe_nat_gateways()["NatGateways"]
    return found | {("nat gateway", g["NatGatewayId"]) for g in gateways if g["State"] != "deleted"}


class Stacks:
    """Makes stacks on a server."""

    def __init__(self, server):
        self.server = server
        self.client = client(server, "cloudformation")

    def create(self, stack, template, parameters=None, **options):
        """Gives the new stack's id."""
        body = template if isinstance(template, str) else json.dumps(template)
        values = [{"ParameterKey": key, "ParameterValue": value} for key, value in (parameters or {}).items()]
        return self.client.create_stack(StackName=stack, TemplateBody=body, Parameters=values, **options)["StackId"]

    def made(self, stack, template, parameters=None, **options):
        """The stack as it is once nothing is done to it any more."""
        return self.settled(self.create(stack, template, parameters, **options))

    def stack(self, name_or_id):
        return self.client.describe_stacks(StackName=name_or_id)["Stacks"][0]

    def settled(self, name_or_id, seconds=30):
        def settled():
            stack = self.stack(name_or_id)
            return None if stack["StackStatus"].endswith("_IN_PROGRESS") else stack

        return wait_for(settled, seconds, f"the end of {name_or_id}")

    def removed(self, name_or_id, **options):
        """Deletes the stack and gives it as it is then."""
        stack_id = self.stack(name_or_id)["StackId"]
        self.client.delete_stack(StackName=name_or_id, **options)
        return self.settled(stack_id)

    def events(self, name_or_id):
        """Oldest first: logical id, status, reason."""
        pages = self.client.get_paginator("describe_stack_events").paginate(StackName=name_or_id)
        events = [event for page in pages for event in page["StackEvents"]]
        return [(e["LogicalResourceId"], e["ResourceStatus"], e.get("ResourceStatusReason")) for e in reversed(events)]

    def reason(self, name_or_id, resource):
        """Why the resource could not be made or removed."""
        failed = ("CREATE_FAILED", "DELETE_FAILED")
        reasons = [reason for name, status, reason in self.events(name_or_id) if name == resource and status in failed]
        assert reasons, self.events(name_or_id)
        return reasons[-1]

    def resources(self, name_or_id):
        """Physical ids by logical id."""
        resources = self.client.describe_stack_resources(StackName=name_or_id)["StackResources"]
        return {r["LogicalResourceId"]: r.get("PhysicalResourceId") for r in resources}


def outputs(stack):
    return {output["OutputKey"]: output["OutputValue"] for output in stack.get("Outputs", [])}


def refused(call, *arguments, **named):
    """The message of the ValidationError."""
    with pytest.raises(ClientError) as refusal:
        call(*arguments, **named)
    assert refusal.value.response["Error"]["Code"] == "ValidationError", refusal.value
    return refusal.value.response["Error"]["Message"]


@pytest.fixture(scope="module")
def cloud(tmp_path_factory):
    running = Server(tmp_path_factory.mktemp("stacks") / "data").start()
    yield running
    assert running.stop() == 0, running.log.read_text()[-4000:]


@pytest.fixture
def stacks(cloud):
    """The module's server; what a test makes there must be gone at its end."""
    before = inventory(cloud)
    yield Stacks(cloud)
    assert inventory(cloud) == before


GROUP = {"Type": "AWS::Logs::LogGroup"}
BUCKET = {"Type": "AWS::S3::Bucket"}


# A stack's life


def test_a_stack_from_creation_to_deletion(stacks, name):
    template = {
        "AWSTemplateFormatVersion": "2010-09-09",
        "Description": "A group and its stream",
        "Parameters": {"Days": {"Type": "Number", "Default": "7"}, "Secret": {"Type": "String", "NoEcho": True}},
        "Resources": {
            "Group": {**GROUP, "Properties": {"RetentionInDays": {"Ref": "Days"}}, "Metadata": {"Owner": "tests"}},
            "Stream": {"Type": "AWS::Logs::LogStream", "Properties": {"LogGroupName": {"Ref": "Group"}}},
        },
        "Outputs": {"Arn": {"Description": "Where lines go", "Value": {"Fn::GetAtt": ["Group", "Arn"]}}},
    }
    formation = stacks.client
    options = {"Tags": [{"Key": "team", "Value": "data"}], "ClientRequestToken": name}
    stack_id = stacks.create(name, template, {"Secret": "hush"}, **options)
    assert stacks.create(name, template, {"Secret": "hush"}, **options) == stack_id, "a repeated call is the same call"
    formation.get_waiter("stack_create_complete").wait(StackName=name, WaiterConfig=QUICK)

    stack = stacks.stack(name)
    assert stack["StackId"] == stack_id and stack_id.startswith(f"arn:aws:cloudformation:{REGION}:{ACCOUNT}:stack/{name}/")
    assert (stack["StackStatus"], stack["Description"]) == ("CREATE_COMPLETE", "A group and its stream")
    values = {p["ParameterKey"]: p["ParameterValue"] for p in stack["Parameters"]}
    assert values == {"Days": "7", "Secret": "****"}
    assert stack["Tags"] == options["Tags"]
    group, = stacks.server.client("logs").describe_log_groups(logGroupNamePrefix=f"{name}-Group-")["logGroups"]
    assert group["retentionInDays"] == 7
    assert stack["Outputs"] == [{"OutputKey": "Arn", "OutputValue": group["arn"], "Description": "Where lines go"}]

    assert [event[:2] for event in stacks.events(name)] == [
        (name, "CREATE_IN_PROGRESS"),
        ("Group", "CREATE_IN_PROGRESS"), ("Group", "CREATE_IN_PROGRESS"), ("Group", "CREATE_COMPLETE"),
        ("Stream", "CREATE_IN_PROGRESS"), ("Stream", "CREATE_IN_PROGRESS"), ("Stream", "CREATE_COMPLETE"),
        (name, "CREATE_COMPLETE"),
    ]
    assert stacks.resources(name)["Group"] == group["logGroupName"]
    summaries = formation.list_stack_resources(StackName=name)["StackResourceSummaries"]
    assert [(s["LogicalResourceId"], s["ResourceStatus"]) for s in summaries] == [
        ("Group", "CREATE_COMPLETE"), ("Stream", "CREATE_COMPLETE"),
    ]
    detail = formation.describe_stack_resource(StackName=name, LogicalResourceId="Group")["StackResourceDetail"]
    assert (detail["ResourceType"], json.loads(detail["Metadata"])) == ("AWS::Logs::LogGroup", {"Owner": "tests"})
    by_resource = formation.describe_stack_resources(PhysicalResourceId=group["logGroupName"])["StackResources"]
    assert {resource["StackName"] for resource in by_resource} == {name}
    assert formation.get_template(StackName=name)["TemplateBody"] == template
    assert "already exists" in _already(formation, name, template)

    formation.delete_stack(StackName=name)
    formation.get_waiter("stack_delete_complete").wait(StackName=name, WaiterConfig=QUICK)
    assert refused(formation.describe_stacks, StackName=name) == f"Stack with id {name} does not exist"
    assert stacks.stack(stack_id)["StackStatus"] == "DELETE_COMPLETE"
    pages = formation.get_paginator("list_stacks").paginate(StackStatusFilter=["DELETE_COMPLETE"])
    assert name in [summary["StackName"] for page in pages for summary in page["StackSummaries"]]
    formation.delete_stack(StackName=name)  # what isn't there is deleted already


def _already(formation, stack, template):
    with pytest.raises(formation.exceptions.AlreadyExistsException) as refusal:
        formation.create_stack(StackName=stack, TemplateBody=json.dumps(template))
    return str(refusal.value)


SHORT = """
Parameters:
  Stage: {Type: String, Default: test}
  Zones: {Type: CommaDelimitedList, Default: 'x, y, z'}
Mappings:
  Days: {test: {Retention: 3}, live: {Retention: 30}}
Conditions:
  Live: !Equals [!Ref Stage, live]
  Small: !Or [!Not [!Condition Live], !And [!Condition Live, !Equals [a, b]]]
Resources:
  Group:  # every short form below is one of the long forms of the other template
    Type: AWS::Logs::LogGroup
    Properties:
      LogGroupName: !Sub /${AWS::StackName}/${Stage}
      RetentionInDays: !FindInMap [Days, !Ref Stage, Retention]
  Never: {Type: AWS::S3::Bucket, Condition: Live}
Outputs:
  Ref: {Value: !Ref Group}
  GetAtt: {Value: !GetAtt Group.Arn}
  Sub: {Value: !Sub ['${Name}-${Stage}-${!Literal}', {Name: !Join ['', [a, b]]}]}
  Join: {Value: !Join [':', !Ref Zones]}
  Select: {Value: !Select [1, !Split ['|', 'a|b|c']]}
  If: {Value: !If [Small, small, large]}
  Base64: {Value: !Base64 'text'}
  Zone: {Value: !Select [0, !GetAZs '']}
  Cidr: {Value: !Select [1, !Cidr [10.0.0.0/16, 4, 8]]}
  Pseudo: {Value: !Sub '${AWS::Region}/${AWS::AccountId}/${AWS::Partition}/${AWS::URLSuffix}/${AWS::StackId}'}
  Hidden: {Condition: Live, Value: never}
"""

LONG = {
    "Parameters": {
        "Stage": {"Type": "String", "Default": "test"},
        "Zones": {"Type": "CommaDelimitedList", "Default": "x, y, z"},
    },
    "Mappings": {"Days": {"test": {"Retention": 3}, "live": {"Retention": 30}}},
    "Conditions": {
        "Live": {"Fn::Equals": [{"Ref": "Stage"}, "live"]},
        "Small": {"Fn::Or": [
            {"Fn::Not": [{"Condition": "Live"}]},
            {"Fn::And": [{"Condition": "Live"}, {"Fn::Equals": ["a", "b"]}]},
        ]},
    },
    "Resources": {
        "Group": {**GROUP, "Properties": {
            "LogGroupName": {"Fn::Sub": "/${AWS::StackName}/${Stage}"},
            "RetentionInDays": {"Fn::FindInMap": ["Days", {"Ref": "Stage"}, "Retention"]},
        }},
        "Never": {**BUCKET, "Condition": "Live"},
    },
    "Outputs": {
        "Ref": {"Value": {"Ref": "Group"}},
        "GetAtt": {"Value": {"Fn::GetAtt": ["Group", "Arn"]}},
        "Sub": {"Value": {"Fn::Sub": ["${Name}-${Stage}-${!Literal}", {"Name": {"Fn::Join": ["", ["a", "b"]]}}]}},
        "Join": {"Value": {"Fn::Join": [":", {"Ref": "Zones"}]}},
        "Select": {"Value": {"Fn::Select": [1, {"Fn::Split": ["|", "a|b|c"]}]}},
        "If": {"Value": {"Fn::If": ["Small", "small", "large"]}},
        "Base64": {"Value": {"Fn::Base64": "text"}},
        "Zone": {"Value": {"Fn::Select": [0, {"Fn::GetAZs": ""}]}},
        "Cidr": {"Value": {"Fn::Select": [1, {"Fn::Cidr": ["10.0.0.0/16", 4, 8]}]}},
        "Pseudo": {"Value": {"Fn::Join": ["/", [
            {"Ref": "AWS::Region"}, {"Ref": "AWS::AccountId"}, {"Ref": "AWS::Partition"}, {"Ref": "AWS::URLSuffix"},
            {"Ref": "AWS::StackId"},
        ]]}},
        "Hidden": {"Condition": "Live", "Value": "never"},
    },
}


@pytest.mark.parametrize("template", [SHORT, LONG], ids=["yaml", "json"])
def test_every_function_gives_its_value_in_both_notations(stacks, name, template):
    stack = stacks.made(name, template)
    assert stack["StackStatus"] == "CREATE_COMPLETE", stacks.events(name)
    group, = stacks.server.client("logs").describe_log_groups(logGroupNamePrefix=f"/{name}/test")["logGroups"]
    assert group["retentionInDays"] == 3
    assert outputs(stack) == {
        "Ref": f"/{name}/test",
        "GetAtt": group["arn"],
        "Sub": "ab-test-${Literal}",
        "Join": "x:y:z",
        "Select": "b",
        "If": "small",
        "Base64": base64.b64encode(b"text").decode(),
        "Zone": f"{REGION}a",
        "Cidr": "10.0.1.0/24",
        "Pseudo": f"{REGION}/{ACCOUNT}/aws/amazonaws.com/{stack['StackId']}",
    }
    assert set(stacks.resources(name)) == {"Group"}
    stacks.removed(name)


def test_conditions_follow_the_parameters(stacks, name):
    stack = stacks.made(name, SHORT, {"Stage": "live"})
    assert outputs(stack)["If"] == "large" and outputs(stack)["Hidden"] == "never"
    assert set(stacks.resources(name)) == {"Group", "Never"}
    stacks.removed(name)


# What is refused before anything is made

PARAMETERS = """
Parameters:
  Stage: {Type: String, Default: test, AllowedValues: [test, live]}
  Days: {Type: Number, Default: 7, MinValue: 1, MaxValue: 7}
  Prefix: {Type: String, Default: abc, MinLength: 2, MaxLength: 4, AllowedPattern: '[a-z]*', ConstraintDescription: small letters}
  Given: {Type: String}
Resources:
  Group: {Type: AWS::Logs::LogGroup, Properties: {LogGroupName: !Sub '${AWS::StackName}-${Prefix}-${Given}', RetentionInDays: !Ref Days}}
"""


def test_parameters_have_defaults_and_values(stacks, name):
    stacks.made(name, PARAMETERS, {"Given": "x", "Days": "3"})
    assert stacks.resources(name) == {"Group": f"{name}-abc-x"}
    stacks.removed(name)


@pytest.mark.parametrize(
    "values, words",
    [
        ({}, ["Parameters: [Given] must have values"]),
        ({"Given": "x", "Stage": "none"}, ["Stage", "must be one of AllowedValues"]),
        ({"Given": "x", "Days": "8"}, ["Days", "7"]),
        ({"Given": "x", "Days": "many"}, ["Days", "number"]),
        ({"Given": "x", "Prefix": "a"}, ["Prefix", "small letters"]),
        ({"Given": "x", "Prefix": "abcde"}, ["Prefix", "small letters"]),
        ({"Given": "x", "Prefix": "A1"}, ["Prefix", "small letters"]),
        ({"Given": "x", "Other": "y"}, ["Parameters: [Other] do not exist in the template"]),
    ],
)
def test_a_value_that_breaks_a_constraint_is_refused(stacks, name, values, words):
    message = refused(stacks.create, name, PARAMETERS, values)
    assert all(word in message for word in words), message
    refused(stacks.stack, name)


# A part that could be made, and one that can't.
WRONG = {
    "no-template": ("hello", ["Template format error"]),
    "broken-json": ('{"Resources": {', ["Template format error"]),
    "broken-yaml": ("Resources: [", ["Template format error"]),
    "no-resources": ("Outputs: {}", ["Resources"]),
    "unknown-type": (
        "Resources: {Group: {Type: AWS::Logs::LogGroup}, Mug: {Type: AWS::Coffee::Mug}}",
        ["Unrecognized resource types: [AWS::Coffee::Mug]"],
    ),
    "cycle": (
        "Resources:\n"
        "  Group: {Type: AWS::Logs::LogGroup}\n"
        "  A: {Type: AWS::S3::Bucket, DependsOn: B}\n"
        "  B: {Type: AWS::Logs::LogGroup, Properties: {LogGroupName: !Sub 'of-${A}'}}\n",
        ["Circular dependency between resources", "A", "B"],
    ),
    "missing-reference": (
        "Resources:\n  Group: {Type: AWS::Logs::LogGroup}\n  B: {Type: AWS::S3::Bucket, Properties: {BucketName: !Ref Nobody}}\n",
        ["Unresolved resource dependencies [Nobody] in the Resources block of the template"],
    ),
    "missing-in-output": (
        "Resources: {Group: {Type: AWS::Logs::LogGroup}}\nOutputs: {O: {Value: !Ref Nobody}, P: {Value: !GetAtt None.Arn}}",
        ["Unresolved resource dependencies [Nobody] in the Outputs block of the template", "undefined resource None"],
    ),
    "unknown-attribute": (
        "Resources: {Group: {Type: AWS::Logs::LogGroup}}\nOutputs: {O: {Value: !GetAtt Group.Colour}}",
        ["Colour"],
    ),
    "unknown-property": (
        "Resources: {Group: {Type: AWS::Logs::LogGroup, Properties: {Colour: red}}}", ["Group", "Colour"],
    ),
    "missing-property": ("Resources: {Group: {Type: AWS::Logs::LogGroup}, S: {Type: AWS::EC2::Subnet}}", ["S", "VpcId"]),
    "wrong-type": (
        "Resources: {Group: {Type: AWS::Logs::LogGroup, Properties: {RetentionInDays: [many]}}}", ["RetentionInDays"],
    ),
    "within-properties": (
        "Resources:\n"
        "  Group: {Type: AWS::Logs::LogGroup, Properties: {Tags: [{Key: a, Value: b, Colour: red}]}}\n"
        "  Job: {Type: AWS::Batch::JobDefinition, Properties: {Type: container, ContainerProperties: {"
        "Image: !Ref Group, Enviroment: [], Environment: [{Name: A, Value: !Ref Group}, 7], Vcpus: many}}}\n"
        "  Bucket: {Type: AWS::S3::Bucket, Properties: {NotificationConfiguration: {LambdaConfigurations: [{Function: !Ref Group}]}}}\n",
        [
            "Properties validation failed for resource Group with message: #/Tags/0: extraneous key [Colour] is not permitted",
            "#/ContainerProperties: extraneous key [Enviroment] is not permitted",
            "#/ContainerProperties/Environment/1: expected type: JSONObject, found: Integer",
            "#/ContainerProperties/Vcpus: expected type: Integer, found: String",
            "#/NotificationConfiguration/LambdaConfigurations/0: required key [Event] not found",
        ],
    ),
    "unknown-condition": ("Resources: {Group: {Type: AWS::Logs::LogGroup, Condition: Nowhere}}", ["Nowhere"]),
    "unknown-dependency": ("Resources: {Group: {Type: AWS::Logs::LogGroup, DependsOn: Nobody}}", ["Nobody"]),
    "unsupported": ("Transform: AWS::CodeStar\nResources: {Group: {Type: AWS::Logs::LogGroup}}", ["transform AWS::CodeStar"]),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_a_wrong_template_is_refused_and_nothing_is_made(stacks, name, wrong):
    template, words = WRONG[wrong]
    message = refused(stacks.create, name, template)
    assert all(word in message for word in words), message
    assert refused(stacks.client.validate_template, TemplateBody=template) == message
    refused(stacks.stack, name)
    # The fixture checks that no resource is there.


def test_a_template_is_validated(stacks):
    template = "Description: d\nParameters: {P: {Type: String, Default: v, Description: e, NoEcho: true}}\nResources: {R: {Type: AWS::IAM::Role, Properties: {AssumeRolePolicyDocument: {}}}}"
    valid = stacks.client.validate_template(TemplateBody=template)
    assert valid["Parameters"] == [{"ParameterKey": "P", "DefaultValue": "v", "NoEcho": True, "Description": "e"}]
    assert (valid["Description"], valid["Capabilities"]) == ("d", ["CAPABILITY_IAM"])
    assert "AWS::IAM::Role" in valid["CapabilitiesReason"]


def test_a_template_is_summarized(stacks, name):
    template = {
        "Description": "d", "Metadata": {"note": 1}, "Transform": "AWS::LanguageExtensions",
        "Parameters": {"Days": {"Type": "Number", "Default": 7, "AllowedValues": [7, 14]}, "Secret": {"Type": "String", "NoEcho": True}},
        "Resources": {"Group": {**GROUP, "Properties": {"RetentionInDays": {"Ref": "Days"}}}, "Role": {
            "Type": "AWS::IAM::Role", "Properties": {"AssumeRolePolicyDocument": TRUST}}},
    }
    summary = stacks.client.get_template_summary(TemplateBody=json.dumps(template))
    assert set(summary["ResourceTypes"]) == {"AWS::Logs::LogGroup", "AWS::IAM::Role"}
    assert (summary["Description"], json.loads(summary["Metadata"])) == ("d", {"note": 1})
    assert summary["Capabilities"] == ["CAPABILITY_IAM"] and summary["DeclaredTransforms"] == ["AWS::LanguageExtensions"]
    days, secret = summary["Parameters"]
    assert (days["DefaultValue"], days["ParameterConstraints"]["AllowedValues"]) == ("7", ["7", "14"])
    assert secret["NoEcho"] is True and "DefaultValue" not in secret
    unknown = json.dumps({"Resources": {"Q": {"Type": "AWS::SQS::Queue"}}})
    warned = stacks.client.get_template_summary(TemplateBody=unknown, TemplateSummaryConfig={"TreatUnrecognizedResourceTypesAsWarnings": True})
    assert warned["Warnings"]["UnrecognizedResourceTypes"] == ["AWS::SQS::Queue"]
    assert "AWS::SQS::Queue" in refused(stacks.client.get_template_summary, TemplateBody=unknown)
    stacks.made(name, template, {"Secret": "s"}, Capabilities=["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"])
    assert stacks.client.get_template_summary(StackName=name)["ResourceTypes"] == summary["ResourceTypes"]
    stacks.removed(name)


def test_roles_need_capabilities(stacks, name):
    role = {"Type": "AWS::IAM::Role", "Properties": {"AssumeRolePolicyDocument": TRUST}}
    named = {**role, "Properties": {**role["Properties"], "RoleName": f"{name}-named"}}
    for resource, given, needed in [
        (role, [], "CAPABILITY_IAM"), (named, [], "CAPABILITY_NAMED_IAM"), (named, ["CAPABILITY_IAM"], "CAPABILITY_NAMED_IAM"),
    ]:
        with pytest.raises(stacks.client.exceptions.InsufficientCapabilitiesException, match=needed):
            stacks.create(name, {"Resources": {"Role": resource, "Group": GROUP}}, Capabilities=given)
        refused(stacks.stack, name)
    stack = stacks.made(name, {"Resources": {"Role": named}}, Capabilities=["CAPABILITY_NAMED_IAM"])
    assert stack["StackStatus"] == "CREATE_COMPLETE"
    stacks.removed(name)


# What fails while it is made


def function(bucket):
    return {
        "Type": "AWS::Lambda::Function",
        "Properties": {
            "Runtime": "provided.al2023", "Handler": "bootstrap", "Role": {"Fn::GetAtt": ["Role", "Arn"]},
            "Code": {"S3Bucket": bucket, "S3Key": "nowhere.zip"},
        },
    }


ROLE = {"Type": "AWS::IAM::Role", "Properties": {"AssumeRolePolicyDocument": TRUST}}
# A bucket that is made and then can't have what the template wants for it.
LISTENING = {
    **BUCKET,
    "DependsOn": ["Network", "Group"],
    "Properties": {"NotificationConfiguration": {"LambdaConfigurations": [{
        "Event": "s3:ObjectCreated:*",
        "Function": {"Fn::Sub": "arn:aws:lambda:${AWS::Region}:${AWS::AccountId}:function:nobody"},
    }]}},
}
FAILING = {
    "taken-bucket": ("Bad", {**BUCKET, "Properties": {"BucketName": "TAKEN"}}, "already"),
    "taken-group": ("Bad", {**GROUP, "Properties": {"LogGroupName": "TAKEN"}}, "already exists"),
    "missing-code": ("Bad", function("TAKEN"), "The specified key does not exist."),
    "missing-code-bucket": ("Bad", function("no-such-bucket"), "The specified bucket does not exist"),
    "missing-function": ("Bad", LISTENING, "Unable to validate the following destination configurations"),
    "missing-vpc": ("Bad", {"Type": "AWS::EC2::Subnet", "Properties": {"VpcId": "vpc-0", "CidrBlock": "10.0.0.0/24"}}, "vpc-0"),
    "subnet-outside": (
        "Bad",
        {"Type": "AWS::EC2::Subnet", "Properties": {"VpcId": {"Ref": "Network"}, "CidrBlock": "11.0.0.0/24"}},
        "11.0.0.0/24",
    ),
    "fargate-pair": (
        "Bad",
        {"Type": "AWS::Batch::JobDefinition", "Properties": {
            "Type": "container", "PlatformCapabilities": ["FARGATE"],
            "ContainerProperties": {
                "Image": "busybox", "ExecutionRoleArn": {"Fn::GetAtt": ["Role", "Arn"]},
                "ResourceRequirements": [{"Type": "VCPU", "Value": "0.25"}, {"Type": "MEMORY", "Value": "4096"}],
            },
        }},
        "4096",
    ),
    "missing-environment": (
        "Bad",
        {"Type": "AWS::Batch::JobQueue", "Properties": {
            "Priority": 1, "ComputeEnvironmentOrder": [{"Order": 1, "ComputeEnvironment": "nowhere"}],
        }},
        "nowhere",
    ),
    "policy": ("Bad", {"Type": "AWS::IAM::Role", "Properties": {"AssumeRolePolicyDocument": {"Version": "1"}}}, "olicy"),
}


@pytest.fixture
def taken(stacks, name):
    """The name of a bucket and of a log group that are there already."""
    s3, logs = stacks.server.client("s3"), stacks.server.client("logs")
    s3.create_bucket(Bucket=f"{name}-taken")
    logs.create_log_group(logGroupName=f"{name}-taken")
    yield f"{name}-taken"
    s3.delete_bucket(Bucket=f"{name}-taken")
    logs.delete_log_group(logGroupName=f"{name}-taken")


def failing(kind, taken):
    """A template whose resource `Bad` fails beside others that don't; what its reason says."""
    resource, bad, word = FAILING[kind]
    template = {"Resources": {
        "Network": {"Type": "AWS::EC2::VPC", "Properties": {"CidrBlock": "10.0.0.0/16"}},
        "Role": ROLE,
        "Group": {**GROUP, "DependsOn": "Role"},
        "Table": {"Type": "AWS::DynamoDB::Table", "Properties": {
            "BillingMode": "PAY_PER_REQUEST", "KeySchema": [{"AttributeName": "k", "KeyType": "HASH"}],
            "AttributeDefinitions": [{"AttributeName": "k", "AttributeType": "S"}],
        }},
        "Bad": bad,
        "After": {**BUCKET, "DependsOn": resource},
    }}
    return json.dumps(template).replace("TAKEN", taken), word


@pytest.mark.parametrize("kind", FAILING)
def test_a_failure_rolls_back_with_its_reason_and_leaves_nothing(stacks, name, taken, kind):
    template, word = failing(kind, taken)
    before = inventory(stacks.server)
    stack = stacks.made(name, template, Capabilities=["CAPABILITY_IAM"])
    assert stack["StackStatus"] == "ROLLBACK_COMPLETE", stacks.events(name)
    assert word in stacks.reason(name, "Bad")
    begun = [reason for _, status, reason in stacks.events(name) if status == "ROLLBACK_IN_PROGRESS"]
    assert len(begun) == 1 and "Bad" in begun[0] and "Rollback requested by user" in begun[0]
    assert "After" not in [name for name, _, _ in stacks.events(name)]
    assert inventory(stacks.server) == before
    assert stacks.removed(name)["StackStatus"] == "DELETE_COMPLETE"


def test_on_failure_decides_what_stays(stacks, name, taken):
    template, _ = failing("taken-bucket", taken)
    kept = stacks.made(f"{name}-keep", template, Capabilities=["CAPABILITY_IAM"], OnFailure="DO_NOTHING")
    assert kept["StackStatus"] == "CREATE_FAILED"
    network = stacks.resources(f"{name}-keep")["Network"]
    assert ("vpc", network) in inventory(stacks.server)
    assert stacks.removed(f"{name}-keep")["StackStatus"] == "DELETE_COMPLETE"
    gone = stacks.made(f"{name}-gone", template, Capabilities=["CAPABILITY_IAM"], OnFailure="DELETE")
    assert gone["StackStatus"] == "DELETE_COMPLETE"


def test_what_can_not_be_deleted_says_why_and_can_be_tried_again(stacks, name):
    s3 = stacks.server.client("s3")
    stacks.made(name, {"Resources": {"Bucket": BUCKET, "Group": {**GROUP, "DependsOn": "Bucket"}}})
    bucket = stacks.resources(name)["Bucket"]
    s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    stuck = stacks.removed(name)
    assert stuck["StackStatus"] == "DELETE_FAILED" and "Bucket" in stuck["StackStatusReason"]
    assert "not empty" in stacks.reason(name, "Bucket")
    s3.delete_object(Bucket=bucket, Key="k")
    assert stacks.removed(name)["StackStatus"] == "DELETE_COMPLETE"


def test_what_is_retained_stays_and_what_is_protected_is_not_deleted(stacks, name):
    template = {"Resources": {"Kept": {**GROUP, "DeletionPolicy": "Retain"}, "Gone": GROUP}}
    stacks.made(name, template, EnableTerminationProtection=True)
    assert "TerminationProtection is enabled" in refused(stacks.client.delete_stack, StackName=name)
    stacks.client.update_termination_protection(StackName=name, EnableTerminationProtection=False)
    kept = stacks.resources(name)["Kept"]
    stack_id = stacks.stack(name)["StackId"]
    assert stacks.removed(name)["StackStatus"] == "DELETE_COMPLETE"
    assert ("Kept", "DELETE_SKIPPED", None) in stacks.events(stack_id)
    stacks.server.client("logs").delete_log_group(logGroupName=kept)


# The aws CLI


def test_the_cli_deploys_waits_shows_and_deletes(stacks, name, tmp_path):
    template = tmp_path / "template.yaml"
    template.write_text(PARAMETERS)
    cli = stacks.server.cli
    deployed = cli("cloudformation", "deploy", "--stack-name", name, "--template-file", template, "--parameter-overrides", "Given=cli")
    assert "Successfully created/updated stack" in deployed.stdout
    cli("cloudformation", "wait", "stack-create-complete", "--stack-name", name)
    query = ["--query", "StackResources[].[LogicalResourceId,PhysicalResourceId]", "--output", "text"]
    shown = cli("cloudformation", "describe-stack-resources", "--stack-name", name, *query)
    assert shown.stdout.split() == ["Group", f"{name}-abc-cli"]
    cli("cloudformation", "delete-stack", "--stack-name", name)
    cli("cloudformation", "wait", "stack-delete-complete", "--stack-name", name)
    wrong = cli("cloudformation", "deploy", "--stack-name", name, "--template-file", template, check=False)
    assert wrong.returncode != 0 and "[Given] must have values" in wrong.stderr
    # A stack that was never made has no place among the others.
    refused(stacks.stack, name)


def test_a_template_comes_from_a_bucket(stacks, name):
    s3 = stacks.server.client("s3")
    s3.create_bucket(Bucket=name)
    # Too long for a request, not for a bucket.
    template = PARAMETERS + "# a comment\n" * 6000
    s3.put_object(Bucket=name, Key="templates/one.yaml", Body=template.encode())
    assert "51200" in refused(stacks.create, name, template, {"Given": "x"})
    for url in (f"{stacks.server.endpoint}/{name}/templates/one.yaml", f"https://{name}.s3.amazonaws.com/templates/one.yaml"):
        stacks.client.create_stack(
            StackName=name, TemplateURL=url, Parameters=[{"ParameterKey": "Given", "ParameterValue": "url"}],
        )
        assert stacks.settled(name)["StackStatus"] == "CREATE_COMPLETE"
        assert stacks.resources(name) == {"Group": f"{name}-abc-url"}
        stacks.removed(name)
    missing = f"{stacks.server.endpoint}/{name}/templates/two.yaml"
    assert "The specified key does not exist" in refused(stacks.client.create_stack, StackName=name, TemplateURL=missing)
    s3.delete_object(Bucket=name, Key="templates/one.yaml")
    s3.delete_bucket(Bucket=name)


# The example


def upload_trigger(server, bucket):
    """Puts the example's function where its template looks for it."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        entry = zipfile.ZipInfo("bootstrap")
        entry.external_attr = 0o755 << 16
        archive.writestr(entry, (BINARIES / "trigger").read_bytes())
    s3 = server.client("s3")
    s3.create_bucket(Bucket=bucket)
    s3.put_object(Bucket=bucket, Key="trigger.zip", Body=packed.getvalue())


def forget_trigger(server, bucket):
    s3 = server.client("s3")
    s3.delete_object(Bucket=bucket, Key="trigger.zip")
    s3.delete_bucket(Bucket=bucket)


def example(stacks, stack, code, key="trigger.zip"):
    template = (EXAMPLE / "template.yaml").read_text()
    return stacks.create(stack, template, {"CodeBucket": code, "CodeKey": key}, Capabilities=["CAPABILITY_IAM"])


def test_cfn_lint_passes_the_example():
    lint = pathlib.Path(sys.executable).with_name("cfn-lint")
    checked = subprocess.run([lint, EXAMPLE / "template.yaml"], capture_output=True, text=True, timeout=60)
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_the_example_comes_and_goes(stacks, name, busybox_layout):
    server = stacks.server
    upload_trigger(server, f"{name}-code")
    before = inventory(server)
    stack = stacks.settled(example(stacks, name, f"{name}-code"))
    assert stack["StackStatus"] == "CREATE_COMPLETE", [e for e in stacks.events(name) if "FAILED" in e[1]]
    listed = stacks.client.list_stack_resources(StackName=name)["StackResourceSummaries"]
    assert {resource["ResourceStatus"] for resource in listed} == {"CREATE_COMPLETE"}
    declared = (EXAMPLE / "template.yaml").read_text().split("\nResources:\n")[1].split("\nOutputs:\n")[0]
    assert len(listed) == declared.count("\n    Type: AWS::")
    ids, values = stacks.resources(name), outputs(stack)
    arn = f"arn:aws:batch:{REGION}:{ACCOUNT}"
    repository, = server.client("ecr").describe_repositories(repositoryNames=[f"{name}-loader"])["repositories"]
    assert values == {
        "BucketName": f"{name}-{ACCOUNT}-{REGION}",
        "TableName": ids["Table"],
        "RepositoryUri": repository["repositoryUri"],
        "JobQueueName": f"{name}-queue",
        "JobQueueArn": f"{arn}:job-queue/{name}-queue",
        "JobDefinitionArn": f"{arn}:job-definition/{name}-loader:1",
        "FunctionName": f"{name}-trigger",
        "JobLogGroupName": f"/aws/batch/{name}",
    }
    made = inventory(server) - before
    for kind in ("vpc", "nat gateway", "address", "interface", "role", "table", "function", "queue", "environment", "bucket"):
        assert [thing for thing in made if thing[0] == kind], kind
    # The template says what the services then hold.
    bucket = server.client("s3").get_bucket_notification_configuration(Bucket=values["BucketName"])
    assert bucket["LambdaFunctionConfigurations"][0]["Events"] == ["s3:ObjectCreated:*"]
    table = server.client("dynamodb").describe_table(TableName=ids["Table"])["Table"]
    assert table["GlobalSecondaryIndexes"][0]["Projection"] == {"ProjectionType": "KEYS_ONLY"}
    environment, = server.client("batch").describe_compute_environments(computeEnvironments=[f"{name}-fargate"])["computeEnvironments"]
    assert environment["computeResources"]["maxvCpus"] == 40
    assert environment["computeResources"]["subnets"] == [ids["PrivateSubnet"]]

    # Filled, its bucket and then its repository can't go; emptied, nothing stays.
    server.client("s3").put_object(Bucket=values["BucketName"], Key="notes.txt", Body=b"x")
    server.barge("image", "push", busybox_layout, f"127.0.0.1:{server.port}/{name}-loader:latest")
    assert "[Bucket]" in stacks.removed(name)["StackStatusReason"]
    server.client("s3").delete_object(Bucket=values["BucketName"], Key="notes.txt")
    assert "[Repository]" in stacks.removed(name)["StackStatusReason"]
    ecr = server.client("ecr")
    ecr.batch_delete_image(repositoryName=f"{name}-loader", imageIds=ecr.list_images(repositoryName=f"{name}-loader")["imageIds"])
    assert stacks.removed(name)["StackStatus"] == "DELETE_COMPLETE", stacks.events(name)
    assert inventory(server) == before
    forget_trigger(server, f"{name}-code")


# kill -9


def interrupted(server, call, seconds):
    """Kills the server `seconds` after the call was sent, and starts it again."""
    def send():
        try:
            call()
        except (BotoCoreError, ClientError):
            pass  # the answer may be lost with the server

    sender = threading.Thread(target=send)
    sender.start()
    time.sleep(seconds)
    server.kill()
    sender.join()
    server.start()


@pytest.mark.parametrize("end, key", [("CREATE_COMPLETE", "trigger.zip"), ("ROLLBACK_COMPLETE", "nowhere.zip")])
def test_a_killed_server_ends_what_it_began_and_leaves_nothing(own_server, end, key):
    seed = random.SystemRandom().randrange(1 << 32)
    print(f"seed {seed}")  # pytest shows it where the test fails
    chance = random.Random(seed)
    stacks = Stacks(own_server)
    upload_trigger(own_server, "the-code")
    before = inventory(own_server)
    for round_number in range(6):
        stack = f"kill-{round_number}"
        interrupted(own_server, lambda: example(stacks, stack, "the-code", key), chance.uniform(0, 0.25))
        # A stack that was not acknowledged may never have been; one that was begun comes to its end.
        for begun in stacks.client.describe_stacks()["Stacks"]:
            ended = stacks.settled(begun["StackId"])
            assert ended["StackStatus"] == end, stacks.events(stack)
            for _ in range(2):
                interrupted(own_server, lambda: stacks.client.delete_stack(StackName=stack), chance.uniform(0, 0.1))
            stacks.client.delete_stack(StackName=stack)
            assert stacks.settled(begun["StackId"])["StackStatus"] == "DELETE_COMPLETE", stacks.events(begun["StackId"])
        assert inventory(own_server) == before
