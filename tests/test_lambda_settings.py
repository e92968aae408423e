"""What can be set for functions beside their code: logs as objects, a place in a network, runtime updates, destinations; by API and in
templates."""

import json

import pytest
from botocore.exceptions import ClientError

from conftest import ACCOUNT, REGION
from test_cloudformation import Stacks
from test_lambda import TRUST, functions  # noqa: F401 (functions is a fixture)

ECHO = "def handler(event, context):\n    print('heard', event)\n    if event == 'fail': raise ValueError('no')\n    return event"


@pytest.fixture
def subnet(aws, name):
    """A subnet and a security group of one VPC, and a security group of another."""
    ec2 = aws("ec2")
    vpc, other = (ec2.create_vpc(CidrBlock="10.9.0.0/16")["Vpc"]["VpcId"] for _ in range(2))
    subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.9.0.0/24")["Subnet"]["SubnetId"]
    groups = [ec2.create_security_group(GroupName=name, Description="d", VpcId=v)["GroupId"] for v in (vpc, other)]
    return vpc, subnet, *groups


def refused(call, **options):
    with pytest.raises(ClientError) as refusal:
        call(**options)
    return refusal.value.response["Error"]


def objects(lines):
    return [json.loads(line) for line in lines if line.startswith("{")]


def test_a_log_of_objects(functions):
    config = {"LogFormat": "JSON", "ApplicationLogLevel": "WARN", "SystemLogLevel": "DEBUG"}
    code = "import logging, os\ndef handler(e, c):\n    logging.info('low')\n    logging.error('high', extra={'size': 1})\n    return os.environ['AWS_LAMBDA_LOG_LEVEL']"
    function = functions.create(code, LoggingConfig=config)
    group = f"/aws/lambda/{function}"
    assert functions.client.get_function_configuration(FunctionName=function)["LoggingConfig"] == {**config, "LogGroup": group}
    assert functions.invoke(function)[1] == "WARN"
    functions.line(function, "platform.report")
    lines = objects(functions.lines(function))
    kinds = ["platform.initStart", "platform.initReport", "platform.start", None, "platform.runtimeDone", "platform.report"]
    assert [line.get("type") for line in lines] == kinds
    assert (lines[3]["message"], lines[3]["level"], lines[3]["size"]) == ("high", "ERROR", 1)
    assert lines[5]["record"]["requestId"] == lines[3]["requestId"] and lines[5]["record"]["metrics"]["memorySizeMB"] == 128
    error = refused(
        functions.client.update_function_configuration, FunctionName=function,
        LoggingConfig={"LogFormat": "Text", "SystemLogLevel": "INFO"},
    )
    assert error["Code"] == "InvalidParameterValueException"


def test_a_function_in_a_vpc(functions, subnet):
    vpc, subnet, group, elsewhere = subnet
    function = functions.create(ECHO, VpcConfig={"SubnetIds": [subnet], "SecurityGroupIds": [group]})
    shown = {"VpcId": vpc, "SubnetIds": [subnet], "SecurityGroupIds": [group], "Ipv6AllowedForDualStack": False}
    assert functions.client.get_function_configuration(FunctionName=function)["VpcConfig"] == shown
    assert functions.invoke(function, "x")[1] == "x"
    for place, word in [
        ({"SubnetIds": [subnet], "SecurityGroupIds": []}, "must coexist"),
        ({"SubnetIds": ["subnet-0123"], "SecurityGroupIds": [group]}, "The subnet ID 'subnet-0123' does not exist"),
        ({"SubnetIds": [subnet], "SecurityGroupIds": ["sg-0123"]}, "EC2 Error Code: InvalidGroup.NotFound"),
        ({"SubnetIds": [subnet], "SecurityGroupIds": [elsewhere]}, "same VPC"),
    ]:
        error = refused(functions.client.update_function_configuration, FunctionName=function, VpcConfig=place)
        assert error["Code"] == "InvalidParameterValueException" and word in error["Message"], error
    changed = functions.client.update_function_configuration(
        FunctionName=function, VpcConfig={"SubnetIds": [], "SecurityGroupIds": []},
    )
    assert "VpcConfig" not in changed


def test_when_the_runtime_is_updated(functions):
    function = functions.create(ECHO)
    version = functions.client.publish_version(FunctionName=function)["Version"]
    put, get = functions.client.put_runtime_management_config, functions.client.get_runtime_management_config
    arn = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{function}:"
    assert put(FunctionName=function, UpdateRuntimeOn="FunctionUpdate")["FunctionArn"] == f"{arn}$LATEST"
    shown = get(FunctionName=function, Qualifier="$LATEST")
    assert (shown["UpdateRuntimeOn"], shown["FunctionArn"]) == ("FunctionUpdate", f"{arn}$LATEST")
    assert get(FunctionName=function, Qualifier=version)["UpdateRuntimeOn"] == "Auto"
    manual = {"UpdateRuntimeOn": "Manual", "RuntimeVersionArn": f"arn:aws:lambda:{REGION}::runtime:{'0' * 64}"}
    assert "Manual" in refused(put, FunctionName=function, **manual)["Message"]
    assert refused(get, FunctionName=function, Qualifier="7")["Code"] == "ResourceNotFoundException"


@pytest.mark.parametrize("event, condition", [("fine", "Success"), ("fail", "RetriesExhausted")])
def test_another_function_hears_what_became_of_an_event(functions, event, condition):
    listener = functions.create("import json\ndef handler(event, context): print('heard', json.dumps(event))", "listener")
    function = functions.create(ECHO)
    arn = functions.client.get_function_configuration(FunctionName=listener)["FunctionArn"]
    destinations = {"OnSuccess": {"Destination": arn}, "OnFailure": {"Destination": arn}}
    config = functions.client.put_function_event_invoke_config(
        FunctionName=function, MaximumRetryAttempts=0, DestinationConfig=destinations,
    )
    assert config["DestinationConfig"] == destinations
    queue = {"OnSuccess": {"Destination": f"arn:aws:sqs:{REGION}:{ACCOUNT}:q"}}
    error = refused(functions.client.put_function_event_invoke_config, FunctionName=function, DestinationConfig=queue)
    assert "sqs" in error["Message"]
    accepted = functions.client.invoke(FunctionName=function, InvocationType="Event", Payload=json.dumps(event))
    heard = json.loads(functions.line(listener, "heard")[0].removeprefix("heard "))
    assert heard["requestContext"] == {
        "requestId": accepted["ResponseMetadata"]["RequestId"], "condition": condition, "approximateInvokeCount": 1,
        "functionArn": f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{function}:$LATEST",
    }
    assert heard["requestPayload"] == event
    if condition == "Success":
        assert heard["responsePayload"] == "fine" and "functionError" not in heard["responseContext"]
    else:
        assert heard["responsePayload"]["errorMessage"] == "no" and heard["responseContext"]["functionError"] == "Unhandled"


def test_a_template_sets_it_all(server, name):
    stacks = Stacks(server)

    def template(mode, level):
        function = {
            "Runtime": "python3.13", "Handler": "index.handler", "Code": {"ZipFile": ECHO}, "Role": {"Fn::GetAtt": ["Role", "Arn"]},
        }
        return {"Resources": {
            "Role": {"Type": "AWS::IAM::Role", "Properties": {"AssumeRolePolicyDocument": TRUST}},
            "Vpc": {"Type": "AWS::EC2::VPC", "Properties": {"CidrBlock": "10.0.0.0/16"}},
            "Subnet": {"Type": "AWS::EC2::Subnet", "Properties": {"VpcId": {"Ref": "Vpc"}, "CidrBlock": "10.0.0.0/24"}},
            "Group": {"Type": "AWS::EC2::SecurityGroup", "Properties": {"GroupDescription": "d", "VpcId": {"Ref": "Vpc"}}},
            "Listener": {"Type": "AWS::Lambda::Function", "Properties": function},
            "Function": {"Type": "AWS::Lambda::Function", "Properties": {
                **function, "FunctionName": name,
                "VpcConfig": {"SubnetIds": [{"Ref": "Subnet"}], "SecurityGroupIds": [{"Fn::GetAtt": ["Group", "GroupId"]}]},
                "LoggingConfig": {"LogFormat": "JSON", "SystemLogLevel": level},
                **({"RuntimeManagementConfig": {"UpdateRuntimeOn": mode}} if mode else {}),
            }},
            "Events": {"Type": "AWS::Lambda::EventInvokeConfig", "Properties": {
                "FunctionName": {"Ref": "Function"}, "Qualifier": "$LATEST",
                "DestinationConfig": {"OnFailure": {"Destination": {"Fn::GetAtt": ["Listener", "Arn"]}}},
            }},
        }}

    def shown():
        client = server.client("lambda")
        function = client.get_function_configuration(FunctionName=name)
        destinations = client.get_function_event_invoke_config(FunctionName=name, Qualifier="$LATEST")["DestinationConfig"]
        return (
            function["VpcConfig"]["VpcId"], function["LoggingConfig"]["SystemLogLevel"],
            client.get_runtime_management_config(FunctionName=name)["UpdateRuntimeOn"],
            destinations["OnFailure"]["Destination"].rpartition(":")[2],
        )

    stack = stacks.made(name, template("FunctionUpdate", "WARN"), Capabilities=["CAPABILITY_IAM"])
    assert stack["StackStatus"] == "CREATE_COMPLETE", stacks.events(name)
    made = stacks.resources(name)
    assert shown() == (made["Vpc"], "WARN", "FunctionUpdate", made["Listener"])
    stacks.client.update_stack(StackName=name, TemplateBody=json.dumps(template(None, "DEBUG")), Capabilities=["CAPABILITY_IAM"])
    assert stacks.settled(name)["StackStatus"] == "UPDATE_COMPLETE", stacks.events(name)
    assert shown() == (made["Vpc"], "DEBUG", "Auto", made["Listener"])
    assert stacks.removed(name)["StackStatus"] == "DELETE_COMPLETE", stacks.events(name)
