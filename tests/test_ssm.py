"""Parameter Store with boto3 and the aws CLI."""

import json

import pytest
from botocore.exceptions import ClientError

from conftest import ACCOUNT, REGION


@pytest.fixture
def ssm(aws):
    return aws("ssm")


def refused(code, operation, **arguments):
    with pytest.raises(ClientError) as refusal:
        operation(**arguments)
    assert refusal.value.response["Error"]["Code"] == code
    return refusal.value.response["Error"]["Message"]


def test_a_parameter_has_versions_and_tags(ssm, name):
    path = f"/{name}/one"
    made = ssm.put_parameter(Name=path, Value="1", Type="String", Description="d", Tags=[{"Key": "a", "Value": "b"}])
    assert (made["Version"], made["Tier"]) == (1, "Standard")
    assert "overwrite" in refused("ParameterAlreadyExists", ssm.put_parameter, Name=path, Value="2", Type="String")
    assert ssm.put_parameter(Name=path, Value="2", Overwrite=True)["Version"] == 2
    found = ssm.get_parameter(Name=path)["Parameter"]
    assert (found["Value"], found["Version"], found["Type"]) == ("2", 2, "String")
    assert found["ARN"] == f"arn:aws:ssm:{REGION}:{ACCOUNT}:parameter{path}"
    assert ssm.get_parameter(Name=f"{path}:1")["Parameter"]["Value"] == "1"
    assert ssm.get_parameter(Name=found["ARN"])["Parameter"]["Value"] == "2"
    assert [v["Value"] for v in ssm.get_parameter_history(Name=path)["Parameters"]] == ["1", "2"]
    ssm.add_tags_to_resource(ResourceType="Parameter", ResourceId=path, Tags=[{"Key": "c", "Value": "d"}])
    ssm.remove_tags_from_resource(ResourceType="Parameter", ResourceId=path, TagKeys=["a"])
    tags = ssm.list_tags_for_resource(ResourceType="Parameter", ResourceId=path)["TagList"]
    assert tags == [{"Key": "c", "Value": "d"}]
    described = ssm.describe_parameters(ParameterFilters=[{"Key": "tag:c", "Values": ["d"]}, {"Key": "Name", "Option": "BeginsWith", "Values": [f"/{name}"]}])
    assert [p["Name"] for p in described["Parameters"]] == [path]
    ssm.delete_parameter(Name=path)
    refused("ParameterNotFound", ssm.get_parameter, Name=path)
    refused("ParameterNotFound", ssm.delete_parameter, Name=path)


def test_paths_lists_and_pages(ssm, name):
    names = [f"/{name}/p{n:02}" for n in range(12)] + [f"/{name}/deep/x"]
    for parameter in names:
        ssm.put_parameter(Name=parameter, Value="a,b", Type="StringList")
    pages = ssm.get_paginator("get_parameters_by_path").paginate(Path=f"/{name}", PaginationConfig={"PageSize": 5})
    assert [p["Name"] for page in pages for p in page["Parameters"]] == names[:12]
    pages = ssm.get_paginator("get_parameters_by_path").paginate(Path=f"/{name}", Recursive=True)
    assert {p["Name"] for page in pages for p in page["Parameters"]} == set(names)
    answer = ssm.get_parameters(Names=[names[0], f"/{name}/gone"])
    assert ([p["Value"] for p in answer["Parameters"]], answer["InvalidParameters"]) == (["a,b"], [f"/{name}/gone"])
    answer = ssm.delete_parameters(Names=[*names[:3], f"/{name}/gone"])
    assert (sorted(answer["DeletedParameters"]), answer["InvalidParameters"]) == (names[:3], [f"/{name}/gone"])


@pytest.mark.parametrize("code, arguments", [
    ("UnsupportedParameterType", {"Type": "SecureString"}),
    ("UnsupportedParameterType", {"Type": "String", "DataType": "aws:ec2:image"}),
    ("ValidationException", {"Name": "aws-own", "Type": "String"}),
    ("ValidationException", {"Name": "a b", "Type": "String"}),
    ("ValidationException", {"Type": "String", "Value": "x" * 4097}),
    ("ValidationException", {}),
    ("ParameterPatternMismatchException", {"Type": "String", "AllowedPattern": "^[0-9]+$"}),
    ("HierarchyLevelLimitExceededException", {"Name": "/a" * 16, "Type": "String"}),
])
def test_what_can_not_be_is_refused(ssm, name, code, arguments):
    refused(code, ssm.put_parameter, **{"Name": name, "Value": "x", **arguments})


def test_the_cli_puts_and_gets(server, name):
    server.cli("ssm", "put-parameter", "--name", name, "--value", "from the CLI", "--type", "String")
    shown = json.loads(server.cli("ssm", "get-parameter", "--name", name, "--output", "json").stdout)
    assert shown["Parameter"]["Value"] == "from the CLI"
    answer = server.cli("ssm", "send-command", "--document-name", "x", check=False)
    assert "NotImplemented" in answer.stderr
