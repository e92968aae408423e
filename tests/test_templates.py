"""Templates as people write them: rules, transforms, parameters from the store, exports, and every resource type."""

import json
import pathlib
import subprocess

import pytest
from botocore.exceptions import ClientError

from conftest import ACCOUNT, BARGE, REGION, ROOT, wait_for

QUICK = {"Delay": 0.1, "MaxAttempts": 600}


@pytest.fixture
def formation(aws):
    return aws("cloudformation")


class Stack:
    def __init__(self, formation, name, template, **parameters):
        self.formation, self.name = formation, name
        given = [{"ParameterKey": k, "ParameterValue": v} for k, v in parameters.items()]
        self.id = formation.create_stack(
            StackName=name, TemplateBody=template, Parameters=given,
            Capabilities=["CAPABILITY_NAMED_IAM", "CAPABILITY_AUTO_EXPAND"],
        )["StackId"]

    def made(self):
        try:
            self.formation.get_waiter("stack_create_complete").wait(StackName=self.id, WaiterConfig=QUICK)
        except Exception:
            events = self.formation.describe_stack_events(StackName=self.id)["StackEvents"]
            raise AssertionError([e.get("ResourceStatusReason") for e in events if "FAILED" in e["ResourceStatus"]])
        stack = self.formation.describe_stacks(StackName=self.id)["Stacks"][0]
        self.outputs = {o["OutputKey"]: o["OutputValue"] for o in stack.get("Outputs", [])}
        return self

    def resources(self):
        found = self.formation.describe_stack_resources(StackName=self.id)["StackResources"]
        return {r["LogicalResourceId"]: r["PhysicalResourceId"] for r in found}

    def gone(self):
        self.formation.delete_stack(StackName=self.id)
        self.formation.get_waiter("stack_delete_complete").wait(StackName=self.id, WaiterConfig=QUICK)


def refusal(formation, name, template, **parameters):
    with pytest.raises(ClientError) as refused:
        Stack(formation, name, template, **parameters)
    return refused.value.response["Error"]["Message"]


RULES = """
Parameters:
  Stage: {Type: String, Default: test}
  Size: {Type: String, Default: small}
Rules:
  Sizes:
    RuleCondition: !Equals [!Ref Stage, prod]
    Assertions:
      - Assert: !Contains [[medium, large], !Ref Size]
        AssertDescription: production needs a size
Resources:
  P: {Type: AWS::SSM::Parameter, Properties: {Type: String, Value: !Ref Size}}
"""


def test_rules_hold_or_the_stack_is_not_made(formation, name):
    assert "production needs a size" in refusal(formation, name, RULES, Stage="prod")
    Stack(formation, name, RULES, Stage="prod", Size="large").made().gone()


def test_parameters_come_from_the_parameter_store(aws, formation, name):
    ssm = aws("ssm")
    template = """
Parameters:
  One: {Type: 'AWS::SSM::Parameter::Value<String>'}
  Many: {Type: 'AWS::SSM::Parameter::Value<List<String>>'}
Resources:
  P:
    Type: AWS::SSM::Parameter
    Properties: {Type: String, Value: !Sub '${One}/${Many}', Name: !Sub '/${AWS::StackName}/p', Tags: {team: x}}
Outputs:
  Joined: {Value: !Join ['+', !Ref Many]}
  Value: {Value: !GetAtt P.Value}
"""
    names = {"One": f"/{name}/one", "Many": f"/{name}/many"}
    missing = refusal(formation, name, template, **names)
    assert f"Unable to fetch parameters [/{name}/one,/{name}/many] from parameter store for this account." in missing
    ssm.put_parameter(Name=names["One"], Value="1", Type="String")
    ssm.put_parameter(Name=names["Many"], Value="a,b", Type="StringList")
    stack = Stack(formation, name, template, **names).made()
    assert stack.outputs == {"Joined": "a+b", "Value": "1/a,b"}
    assert ssm.get_parameter(Name=f"/{name}/p")["Parameter"]["Value"] == "1/a,b"
    shown = formation.describe_stacks(StackName=name)["Stacks"][0]["Parameters"]
    assert {p["ParameterKey"]: p.get("ResolvedValue") for p in shown} == {"One": "1", "Many": "a,b"}
    stack.gone()


def test_language_extensions(aws, formation, name):
    template = """
Transform: AWS::LanguageExtensions
Parameters:
  Stages: {Type: CommaDelimitedList}
  Keep: {Type: String, Default: Delete}
Mappings: {Retention: {prod: {days: 30}}}
Resources:
  Fn::ForEach::Groups:
    - Stage
    - !Ref Stages
    - 'Group${Stage}':
        Type: AWS::Logs::LogGroup
        DeletionPolicy: !Ref Keep
        Properties:
          LogGroupName: !Sub '/${AWS::StackName}/${Stage}'
          RetentionInDays: !FindInMap [Retention, !Ref Stage, days, {DefaultValue: 1}]
  P:
    Type: AWS::SSM::Parameter
    Properties:
      Type: String
      Value:
        Fn::ToJsonString: {groups: !Length [!Ref Stages], first: !Ref Grouptest}
Outputs:
  Value: {Value: !GetAtt P.Value}
"""
    template = template.replace("!Length [!Ref Stages]", "!Length {Ref: Stages}")
    stack = Stack(formation, name, template, Stages="test,prod").made()
    groups = aws("logs").describe_log_groups(logGroupNamePrefix=f"/{name}/")["logGroups"]
    assert {g["logGroupName"]: g["retentionInDays"] for g in groups} == {f"/{name}/test": 1, f"/{name}/prod": 30}
    assert json.loads(stack.outputs["Value"]) == {"groups": 2, "first": f"/{name}/test"}
    stack.gone()
    assert not aws("logs").describe_log_groups(logGroupNamePrefix=f"/{name}/")["logGroups"]


SAM = """
Transform: AWS::Serverless-2016-10-31
Globals:
  Function: {Runtime: python3.12, Timeout: 30}
Resources:
  Uploads: {Type: AWS::S3::Bucket}
  Results:
    Type: AWS::SSM::Parameter
    Properties: {Type: String, Value: none, Name: !Sub '/${AWS::StackName}/last'}
  Echo:
    Type: AWS::Serverless::Function
    Properties:
      Handler: index.handler
      AutoPublishAlias: live
      InlineCode: |
        import os, boto3
        def handler(event, context):
            key = event["Records"][0]["s3"]["object"]["key"]
            boto3.client("ssm").put_parameter(Name=os.environ["RESULT"], Value=key + "@" + context.function_version, Overwrite=True)
      Environment: {Variables: {RESULT: !Ref Results}}
      Policies:
        - S3ReadPolicy: {BucketName: !Sub '${AWS::StackName}-uploads'}
        - Statement: [{Effect: Allow, Action: ssm:PutParameter, Resource: '*'}]
      Events:
        Upload:
          Type: S3
          Properties: {Bucket: !Ref Uploads, Events: 's3:ObjectCreated:*'}
Outputs:
  Bucket: {Value: !Ref Uploads}
  Role: {Value: !GetAtt EchoRole.Arn}
  Alias: {Value: !Ref Echo.Alias}
"""


def test_serverless_functions(aws, formation, name):
    stack = Stack(formation, name, SAM).made()
    assert stack.outputs["Alias"].endswith(":live")
    role = stack.outputs["Role"].rsplit("/", 1)[1]
    attached = aws("iam").list_attached_role_policies(RoleName=role)["AttachedPolicies"]
    assert [p["PolicyName"] for p in attached] == ["AWSLambdaBasicExecutionRole"]
    aws("s3").put_object(Bucket=stack.outputs["Bucket"], Key="x.txt", Body=b"x")
    last = lambda: aws("ssm").get_parameter(Name=f"/{name}/last")["Parameter"]["Value"]
    wait_for(lambda: last() == "x.txt@1", seconds=240, what="the function's answer")
    aws("s3").delete_object(Bucket=stack.outputs["Bucket"], Key="x.txt")
    stack.gone()


def test_what_is_missing_is_refused_by_name_all_at_once(formation, name):
    message = refusal(formation, name, """
Resources:
  S: {Type: AWS::SecretsManager::Secret}
  M: {Type: AWS::Lambda::EventSourceMapping}
  P: {Type: AWS::SSM::Parameter, Properties: {Type: String, Value: '{{resolve:ssm:/x}}', Nope: 1}}
  I: {Type: AWS::SSM::Parameter, Properties: {Type: String, Value: !ImportValue gone}}
""".replace("Value: '{{resolve:ssm:/x}}', Nope: 1", "Value: x, Nope: 1"))
    for part in ("[AWS::SecretsManager::Secret, AWS::Lambda::EventSourceMapping]", "AWS::SSM::Parameter",
                 "queues and streams are not there to poll", "extraneous key [Nope]", "No export named gone found."):
        assert part in message, message
    dynamic = refusal(formation, name, "Resources: {P: {Type: AWS::SSM::Parameter, Properties: {Type: String, Value: '{{resolve:ssm:/x}}'}}}")
    assert "dynamic references" in dynamic and "/Resources/P/Properties/Value" in dynamic


EVERYTHING = """
Parameters:
  Days: {Type: Number, Default: 7}
Resources:
  Vpc: {Type: AWS::EC2::VPC, Properties: {CidrBlock: 10.0.0.0/16}}
  Subnet: {Type: AWS::EC2::Subnet, Properties: {VpcId: !Ref Vpc, CidrBlock: 10.0.0.0/24}}
  Acl: {Type: AWS::EC2::NetworkAcl, Properties: {VpcId: !Ref Vpc, Tags: [{Key: Name, Value: x}]}}
  Entry:
    Type: AWS::EC2::NetworkAclEntry
    Properties:
      NetworkAclId: !Ref Acl
      RuleNumber: 100
      Protocol: 6
      RuleAction: allow
      CidrBlock: 0.0.0.0/0
      PortRange: {From: 443, To: 443}
  AclAssociation:
    Type: AWS::EC2::SubnetNetworkAclAssociation
    Properties: {NetworkAclId: !GetAtt Acl.Id, SubnetId: !Ref Subnet}
  Template:
    Type: AWS::EC2::LaunchTemplate
    Properties:
      LaunchTemplateData:
        UserData: !Base64 'echo hello'
        BlockDeviceMappings: [{DeviceName: /dev/xvda, Ebs: {VolumeSize: 50, VolumeType: gp3, Encrypted: 'true'}}]
  Group: {Type: AWS::IAM::Group}
  User: {Type: AWS::IAM::User, Properties: {Groups: [!Ref Group]}}
  Guest: {Type: AWS::IAM::User}
  Members: {Type: AWS::IAM::UserToGroupAddition, Properties: {GroupName: !Ref Group, Users: [!Ref Guest]}}
  Key: {Type: AWS::IAM::AccessKey, Properties: {UserName: !Ref User}}
  GroupPolicy:
    Type: AWS::IAM::Policy
    Properties:
      PolicyName: all
      PolicyDocument: {Version: 2012-10-17, Statement: [{Effect: Allow, Action: '*', Resource: '*'}]}
      Groups: [!Ref Group]
  LogGroup: {Type: AWS::Logs::LogGroup, Properties: {RetentionInDays: !Ref Days}}
  Errors:
    Type: AWS::Logs::MetricFilter
    Properties:
      LogGroupName: !Ref LogGroup
      FilterPattern: ERROR
      MetricTransformations: [{MetricName: errors, MetricNamespace: app, MetricValue: 1, DefaultValue: 0}]
  Repository:
    Type: AWS::ECR::Repository
    Properties:
      LifecyclePolicy:
        LifecyclePolicyText: '{"rules":[{"rulePriority":1,"selection":{"tagStatus":"any","countType":"imageCountMoreThan","countNumber":10},"action":{"type":"expire"}}]}'
  Role:
    Type: AWS::IAM::Role
    Properties:
      AssumeRolePolicyDocument:
        Version: 2012-10-17
        Statement: [{Effect: Allow, Principal: {Service: lambda.amazonaws.com}, Action: sts:AssumeRole}]
  Function:
    Type: AWS::Lambda::Function
    Properties:
      Role: !GetAtt Role.Arn
      Runtime: python3.12
      Handler: index.handler
      Code: {ZipFile: 'def handler(e, c): return c.function_version'}
  Version: {Type: AWS::Lambda::Version, Properties: {FunctionName: !Ref Function}}
  Alias:
    Type: AWS::Lambda::Alias
    Properties: {FunctionName: !Ref Function, Name: live, FunctionVersion: !GetAtt Version.Version}
  Events:
    Type: AWS::Lambda::EventInvokeConfig
    Properties: {FunctionName: !Ref Function, Qualifier: live, MaximumRetryAttempts: 0}
    DependsOn: Alias
  Bucket:
    Type: AWS::S3::Bucket
    Properties:
      AccessControl: Private
      BucketEncryption: {ServerSideEncryptionConfiguration: [{ServerSideEncryptionByDefault: {SSEAlgorithm: AES256}}]}
Outputs:
  Secret: {Value: !GetAtt Key.SecretAccessKey}
  Latest: {Value: !GetAtt Template.LatestVersionNumber}
  Alias: {Value: !Ref Alias, Export: {Name: !Sub '${AWS::StackName}-alias'}}
"""


def test_every_new_type_is_made_and_removed(server, aws, formation, name):
    stack = Stack(formation, name, EVERYTHING).made()
    made = stack.resources()
    assert stack.outputs["Latest"] == "1"
    signed = server.client("sts", aws_access_key_id=made["Key"], aws_secret_access_key=stack.outputs["Secret"])
    assert signed.get_caller_identity()["Arn"] == f"arn:aws:iam::{ACCOUNT}:user/{made['User']}"
    members = {user["UserName"] for user in aws("iam").get_group(GroupName=made["Group"])["Users"]}
    assert members == {made["User"], made["Guest"]}
    answer = aws("lambda").invoke(FunctionName=stack.outputs["Alias"])
    assert (json.loads(answer["Payload"].read()), answer["ExecutedVersion"]) == ("1", "1")
    acl = aws("ec2").describe_network_acls(NetworkAclIds=[made["Acl"]])["NetworkAcls"][0]
    assert acl["Associations"][0]["SubnetId"] == made["Subnet"]
    filters = aws("logs").describe_metric_filters(logGroupName=made["LogGroup"])["metricFilters"]
    assert [f["filterName"] for f in filters] == [made["Errors"]]
    assert aws("ecr").get_lifecycle_policy(repositoryName=made["Repository"])["lifecyclePolicyText"].startswith('{"rules"')
    importing = f"""
Resources:
  P: {{Type: AWS::SSM::Parameter, Properties: {{Type: String, Value: !ImportValue {name}-alias}}}}
Outputs:
  V: {{Value: !GetAtt P.Value}}
"""
    other = Stack(formation, f"{name}-importer", importing).made()
    assert other.outputs["V"] == stack.outputs["Alias"]
    other.gone()
    stack.gone()
    with pytest.raises(ClientError):
        aws("iam").get_group(GroupName=made["Group"])


def test_the_page_of_resource_types_is_what_the_program_prints():
    printed = subprocess.run([BARGE, "resources", "--markdown"], check=True, capture_output=True, text=True).stdout
    page = pathlib.Path(ROOT / "docs/resource-types.md")
    assert page.read_text() == printed, "run: target/debug/barge resources --markdown > docs/resource-types.md"
