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
LISTED = json.loads(subprocess.run([BARGE, "resources", "--json"], check=True, capture_output=True, text=True).stdout)
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
# The same within properties: patterns of paths.
NEEDED = "the API that makes it needs it"
API_ONLY = "the API has it, so a template may give it here"
DIFFERENT_WITHIN = {
    r"JobDefinition .*ResourceRequirements\[\]\.(Type|Value)": NEEDED,
    r"JobDefinition .*(Devices\[\]\.HostPath|TaskProperties\[\]\.Containers|ImagePullSecrets\[\]\.Name)": NEEDED,
    r"JobDefinition .*Volumes\[\]\.S3filesVolumeConfiguration": API_ONLY,
    r"JobDefinition ContainerProperties.InstanceType": API_ONLY,
    r"JobDefinition NodeProperties\.NodeRangeProperties\[\]\.Container\.(NetworkConfiguration|FargatePlatformConfiguration)": API_ONLY,
    r"JobDefinition NodeProperties.*\.EcsProperties\.TaskProperties\[\]\.(EphemeralStorage|PlatformVersion|Network.*|RuntimePlatform)": API_ONLY,
    r"JobDefinition NodeProperties.*\.EksProperties.*": "nodes of EKS are refused by name",
    r"SchedulingPolicy FairsharePolicy\.(ShareDecaySeconds|ComputeReservation)": "numbers without a fraction",
    r"SchedulingPolicy .*ShareIdentifier": NEEDED,
    r"WaitCondition Timeout": "text with a number in it, or the number",
    r"LaunchTemplate .*(CpuCredits|VCpuCount|VCpuCount\.Min|MemoryMiB|MemoryMiB\.Min)": NEEDED,
    r"LaunchTemplate .*(MetricCategoryIds|AvailabilityZoneId|Elastic.*|RequireEncryptionInTransit|Operator|SecondaryInterfaces)": API_ONLY,
    r"Bucket LifecycleConfiguration\.Rules\[\]\.ObjectSize.*Than": "text with a number in it, or the number",
    r"Bucket OwnershipControls\.Rules\[\]\.ObjectOwnership": "a rule says nothing without it",
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


JSON_TYPES = {"string": "string", "integer": "integer", "number": "number", "boolean": "boolean", "list": "array", "map": "object"}


def meanings(schema, node):
    """The node and what its references and alternatives lead to."""
    if "$ref" in node:
        node = {**node, **schema["definitions"][node["$ref"].rsplit("/", 1)[1]]}
    yield node
    for alternative in [*node.get("anyOf", []), *node.get("oneOf", [])]:
        yield from meanings(schema, alternative)


def differences_within(schema, node, ours, path):
    """What differs of a property and within it: (path, what AWS says)."""
    nodes = list(meanings(schema, node))
    kinds = set()
    for one in nodes:
        said = one.get("type", [])
        kinds.update([said] if isinstance(said, str) else said)
    if kinds and ours["type"] in JSON_TYPES and JSON_TYPES[ours["type"]] not in kinds:
        yield path, f"of type {sorted(kinds)}"
    items = next((one["items"] for one in nodes if "items" in one), None)
    keyed = next((value for one in nodes for value in one.get("patternProperties", {}).values()), None)
    if "entries" in ours and (items or keyed):
        yield from differences_within(schema, items or keyed, ours["entries"], f"{path}[]")
    properties = {name: value for one in nodes for name, value in one.get("properties", {}).items()}
    required = {name for one in nodes[:1] for name in one.get("required", [])}
    for name, member in ours.get("members", {}).items() if properties else ():
        if name not in properties:
            yield f"{path}.{name}", "no such property"
            continue
        yield from differences_within(schema, properties[name], member, f"{path}.{name}")
        # What else is required, the service says when the resource is made.
        if member["required"] and name not in required:
            yield f"{path}.{name}", "not required"


def found_within(listed):
    schema = json.loads((SCHEMAS / f"resources/{REGISTRY[listed['name']]}.json").read_text())
    for name, ours in listed["properties"].items():
        if name in schema["properties"]:
            yield from differences_within(schema, schema["properties"][name], ours, name)


def reasons(name, path):
    return {pattern for pattern in DIFFERENT_WITHIN if re.fullmatch(pattern, f"{name.rsplit('::', 1)[1]} {path}")}


@pytest.mark.parametrize("listed", LISTED, ids=[listed["name"] for listed in LISTED])
def test_what_is_within_a_type_s_properties_is_as_aws_describes_it(listed):
    found = [(what, says) for what, says in found_within(listed) if not reasons(listed["name"], what)]
    assert not found, f"AWS's schema of {listed['name']} says otherwise: {found}"


@pytest.mark.parametrize("name", TYPES)
def test_a_type_is_as_aws_describes_it(name):
    found = [(what, says) for what, says in differences(name, TYPES[name]) if (name, what) not in DIFFERENT]
    assert not found, f"AWS's schema of {name} says otherwise: {found}"


def test_every_exception_is_one():
    found = {(name, what) for name, block in TYPES.items() for what, _ in differences(name, block)}
    assert set(DIFFERENT) - found == set()
    within = [reasons(listed["name"], what) for listed in LISTED for what, _ in found_within(listed)]
    assert set(DIFFERENT_WITHIN) - set().union(*within) == set()
