"""The resource types against AWS's own schemas of them, which the cfn-lint package carries: every property is AWS's, a change does
what it does there, and every attribute of `Fn::GetAtt` is there."""

import json
import pathlib
import re
import subprocess

import cfnlint
import pytest

from conftest import BARGE

SCHEMAS = pathlib.Path(cfnlint.__file__).parent / "data/schemas"
REGISTRY = json.loads((SCHEMAS / "providers/us-east-1.json").read_text())
PRINTED = subprocess.run([BARGE, "resources", "--markdown"], check=True, capture_output=True, text=True).stdout
TYPES = {block.split("\n", 1)[0].strip(): block for block in PRINTED.split("\n## ")[1:]}

# Where Barge differs, and why.
ONLY_IPV4 = "networks have IPv4 ranges that the template gives"
DIFFERENT = {
    ("AWS::Batch::ComputeEnvironment", "Type"): "case counts for nothing: another spelling is no change",
    ("AWS::CDK::Metadata", "Id"): "the note has no id to ask for",
    ("AWS::CloudFormation::CustomResource", "*"): "properties and attributes are the function's",
    ("AWS::CloudFormation::CustomResource", "Id"): "Ref gives it",
    ("AWS::CloudFormation::CustomResource", "ServiceToken"): "a change fails, as the User Guide says",
    ("AWS::CloudFormation::Stack", "Outputs.*"): "the schema does not list outputs",
    ("AWS::CloudFormation::Stack", "StackId"): "Ref gives it",
    ("AWS::CloudFormation::WaitCondition", "Handle"): "there are no signals without a handle",
    ("AWS::CloudFormation::WaitCondition", "Id"): "Ref gives it",
    ("AWS::CloudFormation::WaitCondition", "Timeout"): "there are no signals without a handle",
    ("AWS::CloudFormation::WaitConditionHandle", "Id"): "Ref gives it",
    ("AWS::DynamoDB::GlobalTable", "AttributeDefinitions"): "the schema leaves them out for copies of another table",
    ("AWS::DynamoDB::GlobalTable", "KeySchema"): "the schema leaves it out for copies of another table",
    ("AWS::DynamoDB::GlobalTable", "LocalSecondaryIndexes"): "UpdateTable can't change them",
    ("AWS::DynamoDB::GlobalTable", "SSESpecification"): "UpdateTable does not change it here",
    ("AWS::DynamoDB::Table", "KeySchema"): "UpdateTable can't change it",
    ("AWS::DynamoDB::Table", "LocalSecondaryIndexes"): "UpdateTable can't change them",
    ("AWS::DynamoDB::Table", "SSESpecification"): "UpdateTable does not change it here",
    ("AWS::EC2::EIP", "Domain"): "vpc is all it can be",
    ("AWS::EC2::LaunchTemplate", "TagSpecifications"): "they are the launch template's tags at creation",
    ("AWS::EC2::Route", "DestinationCidrBlock"): ONLY_IPV4,
    ("AWS::EC2::Subnet", "CidrBlock"): ONLY_IPV4,
    ("AWS::EC2::VPC", "CidrBlock"): ONLY_IPV4,
    ("AWS::EC2::VPC", "InstanceTenancy"): "there are no instances whose tenancy could be relaxed",
    ("AWS::EC2::VPCEndpoint", "ServiceName"): "endpoints are of services only",
    ("AWS::EC2::VPCGatewayAttachment", "InternetGatewayId"): "there are no VPN gateways",
    ("AWS::IAM::AccessKey", "Id"): "Ref gives it",
}
# Attributes of what Barge does not have.
WITHOUT = {
    "AWS::EC2::NatGateway": {"AutoProvisionZones", "AutoScalingIps", "RouteTableId"},
    "AWS::EC2::Subnet": {"BlockPublicAccessStates"},
    "AWS::Lambda::Function": {"SnapStartResponse"},
    "AWS::S3::Bucket": {"WebsiteURL"},
    "AWS::SSM::Parameter": {"Arn"},
}


def top(schema, member):
    """Names of whole properties in a list of JSON pointers."""
    return {pointer.split("/")[2] for pointer in schema.get(member, []) if pointer.count("/") == 2}


def differences(name, block):
    """What differs of a type: (name of property or attribute, what AWS says)."""
    schema = json.loads((SCHEMAS / f"resources/{REGISTRY[name]}.json").read_text())
    read_only, create_only = top(schema, "readOnlyProperties"), top(schema, "createOnlyProperties")
    conditional = top(schema, "conditionalCreateOnlyProperties")
    for line in re.finditer(r"^\| (\S+) \| \S+ \| (yes)? ?\| (in place|replaces|may replace) \|$", block, re.M):
        given, required, change = line[1], bool(line[2]), line[3]
        if given not in schema["properties"] or given in read_only and given not in create_only:
            yield given, "no such property"
            continue
        expected = "replaces" if given in create_only else "may replace" if given in conditional else "in place"
        # Where members within decide, what a change of the whole does is a matter of taste.
        pointers = schema.get("createOnlyProperties", []) + schema.get("conditionalCreateOnlyProperties", [])
        within = any(pointer.startswith(f"/properties/{given}/") for pointer in pointers)
        if change != expected and not within:
            yield given, expected
        if required != (given in schema.get("required", [])):
            yield given, "not required" if required else "required"
    listed = re.search(r"`Fn::GetAtt`: (.*)", block)
    attributes = set(listed[1].split(", ")) if listed else set()
    for attribute in read_only - attributes - WITHOUT.get(name, set()):
        yield attribute, "an attribute"
    for attribute in attributes - read_only - set(schema["properties"]):
        yield attribute, "no attribute"


@pytest.mark.parametrize("name", TYPES)
def test_a_type_is_as_aws_describes_it(name):
    found = [(what, says) for what, says in differences(name, TYPES[name]) if (name, what) not in DIFFERENT]
    assert not found, f"AWS's schema of {name} says otherwise: {found}"


def test_every_exception_is_one():
    found = {(name, what) for name, block in TYPES.items() for what, _ in differences(name, block)}
    assert set(DIFFERENT) - found == set()
