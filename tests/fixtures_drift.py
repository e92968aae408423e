"""Templates with every resource type, and changes behind their stacks' backs: what the tests of drift go through."""

import json

from conftest import ACCOUNT


def make(kind, **properties):
    return {"Type": f"AWS::{kind}", "Properties": properties}


def ref(name):
    return {"Ref": name}


def att(name, attribute):
    return {"Fn::GetAtt": [name, attribute]}


def trust(*services):
    statement = {"Effect": "Allow", "Principal": {"Service": list(services)}, "Action": "sts:AssumeRole"}
    return {"Version": "2012-10-17", "Statement": [statement]}


def allow(*actions, **more):
    return {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": list(actions), "Resource": "*", **more}]}


ROLE = make(
    "IAM::Role", AssumeRolePolicyDocument=trust("lambda.amazonaws.com"), MaxSessionDuration="7200", Description="d",
    ManagedPolicyArns=["arn:aws:iam::aws:policy/ReadOnlyAccess"],
    Policies=[{"PolicyName": "p", "PolicyDocument": allow("s3:GetObject")}],
    Tags=[{"Key": "team", "Value": "data"}, {"Key": "stage", "Value": 1}],
)
FUNCTION = {
    "Role": ROLE,
    "X": make(
        "Lambda::Function", Role=att("Role", "Arn"), Runtime="python3.12", Handler="index.handler", Timeout="10",
        Code={"ZipFile": "def handler(event, context): return 1"}, Environment={"Variables": {"AA": "1", "BB": True}},
        ReservedConcurrentExecutions=2, Tags=[{"Key": "a", "Value": "b"}],
        RuntimeManagementConfig={"UpdateRuntimeOn": "FunctionUpdate"}, LoggingConfig={"LogFormat": "JSON"},
        VpcConfig={"SubnetIds": [ref("Subnet")], "SecurityGroupIds": [att("Vpc", "DefaultSecurityGroup")]},
    ),
    "Vpc": make("EC2::VPC", CidrBlock="10.3.0.0/16"),
    "Subnet": make("EC2::Subnet", VpcId=ref("Vpc"), CidrBlock="10.3.0.0/24"),
}
VERSIONED = {
    **FUNCTION,
    "Version": make("Lambda::Version", FunctionName=ref("X")),
    "Alias": make(
        "Lambda::Alias", FunctionName=att("X", "Arn"), FunctionVersion=att("Version", "Version"), Name="live", Description="d"),
    "Events": make("Lambda::EventInvokeConfig", FunctionName=ref("X"), Qualifier="$LATEST", MaximumRetryAttempts="1",
                   DestinationConfig={"OnFailure": {"Destination": ref("Alias")}}),
    "Permission": make(
        "Lambda::Permission", FunctionName=f"{ACCOUNT}:function:NAME", Action="lambda:InvokeFunction",
        Principal="s3.amazonaws.com", SourceAccount=ref("AWS::AccountId")),
}
TABLE = {
    "X": make(
        "DynamoDB::Table", KeySchema=[{"AttributeName": "k", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "k", "AttributeType": "S"}, {"AttributeName": "g", "AttributeType": "N"}],
        ProvisionedThroughput={"ReadCapacityUnits": "5", "WriteCapacityUnits": 5},
        GlobalSecondaryIndexes=[{
            "IndexName": "index", "KeySchema": [{"AttributeName": "g", "KeyType": "HASH"}],
            "Projection": {"ProjectionType": "KEYS_ONLY"},
            "ProvisionedThroughput": {"ReadCapacityUnits": 1, "WriteCapacityUnits": 1}}],
        TimeToLiveSpecification={"AttributeName": "expires", "Enabled": "true"}, DeletionProtectionEnabled=False,
        StreamSpecification={"StreamViewType": "NEW_IMAGE"}, Tags=[{"Key": "a", "Value": "b"}],
    )
}
GLOBAL_TABLE = {
    "X": make(
        "DynamoDB::GlobalTable", KeySchema=[{"AttributeName": "k", "KeyType": "HASH"}], BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": "k", "AttributeType": "S"}, {"AttributeName": "g", "AttributeType": "N"}],
        GlobalSecondaryIndexes=[{
            "IndexName": "index", "KeySchema": [{"AttributeName": "g", "KeyType": "HASH"}],
            "Projection": {"ProjectionType": "ALL"}}],
        Replicas=[{
            "Region": ref("AWS::Region"), "DeletionProtectionEnabled": "false", "Tags": [{"Key": "a", "Value": "b"}],
            "GlobalSecondaryIndexes": [{"IndexName": "index"}], "ReadOnDemandThroughputSettings": {"MaxReadRequestUnits": "9"}}],
        StreamSpecification={"StreamViewType": "NEW_IMAGE"}, SSESpecification={"SSEEnabled": False},
        WriteOnDemandThroughputSettings={"MaxWriteRequestUnits": 7},
    )
}
NETWORK = {
    "Vpc": make(
        "EC2::VPC", CidrBlock="10.0.0.9/16", EnableDnsHostnames="True", Tags=[{"Key": "Name", "Value": ref("AWS::StackName")}]),
    "Subnet": make("EC2::Subnet", VpcId=ref("Vpc"), CidrBlock="10.0.0.0/24", MapPublicIpOnLaunch=False,
                   PrivateDnsNameOptionsOnLaunch={"HostnameType": "resource-name", "EnableResourceNameDnsARecord": "true"}),
    "Table": make("EC2::RouteTable", VpcId=ref("Vpc")),
    "Igw": make("EC2::InternetGateway", Tags=[{"Key": "a", "Value": "b"}]),
    "Attachment": make("EC2::VPCGatewayAttachment", VpcId=ref("Vpc"), InternetGatewayId=ref("Igw")),
    "Eip": {**make("EC2::EIP", Domain="vpc"), "DependsOn": "Attachment"},
    "Nat": make("EC2::NatGateway", SubnetId=ref("Subnet"), AllocationId=att("Eip", "AllocationId")),
    "Zoned": {**make("EC2::EIP", Domain="vpc"), "DependsOn": "Attachment"},
    "Regional": make(
        "EC2::NatGateway", AvailabilityMode="regional", VpcId=ref("Vpc"), MaxDrainDurationSeconds="60",
        AvailabilityZoneAddresses=[{
            "AvailabilityZone": att("Subnet", "AvailabilityZone"), "AllocationIds": [att("Zoned", "AllocationId")]}]),
    "Route": {
        **make("EC2::Route", RouteTableId=ref("Table"), DestinationCidrBlock="0.0.0.0/0", GatewayId=ref("Igw")),
        "DependsOn": "Attachment"},
    "Association": make("EC2::SubnetRouteTableAssociation", SubnetId=ref("Subnet"), RouteTableId=ref("Table")),
    "Endpoint": make(
        "EC2::VPCEndpoint", VpcId=ref("Vpc"), ServiceName={"Fn::Sub": "com.amazonaws.${AWS::Region}.s3"},
        RouteTableIds=[ref("Table")], PolicyDocument=allow("s3:*", Principal="*")),
    "Interface": make(
        "EC2::VPCEndpoint", VpcId=ref("Vpc"), ServiceName={"Fn::Sub": "com.amazonaws.${AWS::Region}.logs"},
        VpcEndpointType="Interface", SubnetIds=[ref("Subnet")], DnsOptions={"DnsRecordIpType": "ipv4"}),
    "Acl": make("EC2::NetworkAcl", VpcId=ref("Vpc")),
    "Entry": make(
        "EC2::NetworkAclEntry", NetworkAclId=ref("Acl"), RuleNumber=100, Protocol="6", RuleAction="allow",
        CidrBlock="10.1.2.3/8", PortRange={"From": "443", "To": 443}),
    "Stands": make("EC2::SubnetNetworkAclAssociation", NetworkAclId=ref("Acl"), SubnetId=ref("Subnet")),
    "Template": make(
        "EC2::LaunchTemplate",
        LaunchTemplateData={"InstanceType": "m5.large", "UserData": "eA==", "TagSpecifications": [
            {"ResourceType": "instance", "Tags": [{"Key": "a", "Value": "b"}]}]},
        TagSpecifications=[{"ResourceType": "launch-template", "Tags": [{"Key": "c", "Value": "d"}]}]),
    "Group": make(
        "EC2::SecurityGroup", GroupDescription="d", VpcId=ref("Vpc"),
        SecurityGroupIngress=[
            {"IpProtocol": "TCP", "FromPort": "443", "ToPort": 443, "CidrIp": "10.0.0.1/16", "Description": "in"},
            {"IpProtocol": -1, "CidrIpv6": "2001:DB8::/32"}],
        SecurityGroupEgress=[{"IpProtocol": "udp", "FromPort": 53, "ToPort": 53, "CidrIp": "0.0.0.0/0"}]),
    "Classic": make(
        "EC2::SecurityGroup", GroupDescription="d", GroupName="NAME",
        SecurityGroupIngress=[{"IpProtocol": "6", "FromPort": 80, "ToPort": 80, "SourceSecurityGroupName": "default"}]),
    "In": make(
        "EC2::SecurityGroupIngress", GroupId=ref("Group"), IpProtocol="tcp", FromPort=22, ToPort=22,
        SourceSecurityGroupId=att("Group", "GroupId")),
    "Out": make("EC2::SecurityGroupEgress", GroupId=ref("Group"), IpProtocol="icmp", FromPort=8, ToPort=-1, CidrIp="0.0.0.0/0"),
}
BATCH = {
    "Shares": make(
        "Batch::SchedulingPolicy", FairsharePolicy={
            "ShareDecaySeconds": "60", "ShareDistribution": [{"ShareIdentifier": "a*", "WeightFactor": 0.5}]}),
    "Environment": make(
        "Batch::ComputeEnvironment", Type="managed", State="enabled", ComputeResources={
            "Type": "fargate", "MaxvCpus": "8", "Subnets": ["subnet-1"], "SecurityGroupIds": ["sg-1"]}, Tags={"a": "b"}),
    "Queue": make(
        "Batch::JobQueue", Priority="5", State="Enabled", SchedulingPolicyArn=ref("Shares"),
        ComputeEnvironmentOrder=[{"Order": "1", "ComputeEnvironment": ref("Environment")}]),
    "Licence": make("Batch::ConsumableResource", TotalQuantity="5", ResourceType="replenishable"),
    "Definition": make(
        "Batch::JobDefinition", Type="container", PlatformCapabilities=["FARGATE"], Parameters={"x": 1}, Tags={"a": "b"},
        RetryStrategy={"Attempts": "2"}, Timeout={"AttemptDurationSeconds": "60"}, ContainerProperties={
            "Image": "busybox", "Command": ["true"], "ExecutionRoleArn": f"arn:aws:iam::{ACCOUNT}:role/e",
            "Environment": [{"Name": "b", "Value": 2}, {"Name": "a", "Value": "1"}],
            "LogConfiguration": {"LogDriver": "awslogs", "Options": {"awslogs-group": "/g"}},
            "ResourceRequirements": [{"Type": "VCPU", "Value": 0.25}, {"Type": "MEMORY", "Value": 512}]}),
}
BATCH |= {
    "Instances": make(
        "Batch::ComputeEnvironment", Type="MANAGED", ServiceRole="AWSBatchServiceRole", ComputeResources={
            "Type": "EC2", "AllocationStrategy": "BEST_FIT_PROGRESSIVE", "MinvCpus": 0, "MaxvCpus": 4, "DesiredvCpus": 2,
            "InstanceTypes": ["optimal"], "InstanceRole": "ecsInstanceRole", "Subnets": ["subnet-1"],
            "SecurityGroupIds": ["sg-1"], "Tags": {"a": 1}}),
    "Nodes": make(
        "Batch::JobDefinition", Type="multinode", NodeProperties={
            "MainNode": "0", "NumNodes": 2, "NodeRangeProperties": [{"TargetNodes": "0:1", "Container": {
                "Image": "busybox", "Command": ["true"],
                "ResourceRequirements": [{"Type": "VCPU", "Value": "1"}, {"Type": "MEMORY", "Value": "512"}]}}]}),
    "Task": make(
        "Batch::JobDefinition", Type="container", EcsProperties={"TaskProperties": [{"Containers": [{
            "Name": "a", "Image": "busybox", "Essential": "true", "Command": ["true"],
            "ResourceRequirements": [{"Type": "VCPU", "Value": "1"}, {"Type": "MEMORY", "Value": "512"}]}]}]},
        RetryStrategy={"Attempts": 3, "EvaluateOnExit": [{"Action": "retry", "OnReason": "Host EC2*"}]}),
}
PEOPLE = {
    "Group": make("IAM::Group", Policies=[{"PolicyName": "p", "PolicyDocument": allow("s3:*")}]),
    "Other": make("IAM::Group", Path="/x/"),
    "User": make("IAM::User", Groups=[ref("Group")], Tags=[{"Key": "a", "Value": "b"}]),
    "Addition": make("IAM::UserToGroupAddition", GroupName=ref("Other"), Users=[ref("User")]),
    "Key": make("IAM::AccessKey", UserName=ref("User"), Status="Active", Serial=1),
    "Role": ROLE,
    "Profile": make("IAM::InstanceProfile", Roles=[ref("Role")]),
    "Inline": make("IAM::Policy", PolicyName="inline", PolicyDocument=allow("s3:List*"), Roles=[ref("Role")]),
    "Managed": make("IAM::ManagedPolicy", PolicyDocument=allow("sqs:*"), Roles=[ref("Role")], Description="d"),
}
LOGS = {
    "Rare": make("Logs::LogGroup", LogGroupClass="INFREQUENT_ACCESS"),
    "Group": make("Logs::LogGroup", RetentionInDays="7", Tags=[{"Key": "a", "Value": "b"}]),
    "Stream": make("Logs::LogStream", LogGroupName=ref("Group")),
    "Filter": make("Logs::MetricFilter", LogGroupName=ref("Group"), FilterPattern="{ $.a = 1 }", MetricTransformations=[
        {"MetricName": "m", "MetricNamespace": "n", "MetricValue": "1", "Dimensions": [{"Key": "d", "Value": "$.d"}]}]),
}
PARAMETER = make("SSM::Parameter", Type="String", Value='{"a": 1}', Description="d", Tags={"a": "b"})
REPOSITORY = make(
    "ECR::Repository", ImageTagMutability="IMMUTABLE_WITH_EXCLUSION", ImageTagMutabilityExclusionFilters=[
        {"ImageTagMutabilityExclusionFilterType": "WILDCARD", "ImageTagMutabilityExclusionFilterValue": "dev-*"}], ImageScanningConfiguration={"ScanOnPush": "true"}, EmptyOnDelete=True,
    RepositoryPolicyText=allow("ecr:*", Principal="*") | {"Statement": [
        {"Sid": "s", "Effect": "Allow", "Principal": "*", "Action": "ecr:BatchGetImage"}]},
    LifecyclePolicy={"LifecyclePolicyText": json.dumps({"rules": [{
        "rulePriority": 1, "selection": {"tagStatus": "any", "countType": "imageCountMoreThan", "countNumber": 5},
        "action": {"type": "expire"}}]})})
BUCKET = {
    "Bucket": make(
        "S3::Bucket", PublicAccessBlockConfiguration={"BlockPublicPolicy": False}, AccessControl="Private",
        VersioningConfiguration={"Status": "Enabled"}, Tags=[{"Key": "a", "Value": "b"}],
        LifecycleConfiguration={"Rules": [{"Id": "r", "Status": "Enabled", "NoncurrentVersionExpirationInDays": "30"}]},
        BucketEncryption={"ServerSideEncryptionConfiguration": [{"ServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms"}}]}),
    "Policy": make("S3::BucketPolicy", Bucket=ref("Bucket"), PolicyDocument={
        "Version": "2012-10-17", "Statement": [{
            "Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}, "Action": "s3:GetObject",
            "Resource": {"Fn::Sub": "arn:aws:s3:::${Bucket}/*"}}]}),
}


def capacity(read):
    return {"ReadCapacityUnits": read, "WriteCapacityUnits": 5}


def update_ce(batch, ids, most):
    batch.update_compute_environment(computeEnvironment=ids["Environment"], computeResources={"maxvCpus": most})


def shares(batch, ids, weight):
    policy = {"shareDecaySeconds": 60, "shareDistribution": [{"shareIdentifier": "a*", "weightFactor": weight}]}
    batch.update_scheduling_policy(arn=ids["Shares"], fairsharePolicy=policy)


def entry(ec2, ids, port):
    ec2.replace_network_acl_entry(
        NetworkAclId=ids["Acl"], RuleNumber=100, Protocol="6", RuleAction="allow", CidrBlock="10.0.0.0/8", Egress=False,
        PortRange={"From": port, "To": port})


SSH = [{"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}]
HTTPS = [{"IpProtocol": "tcp", "FromPort": 443, "ToPort": 443, "IpRanges": [{"CidrIp": "10.0.0.0/16", "Description": "in"}]}]
LAYER = {
    "Layer": make(
        "Lambda::LayerVersion", Content={"S3Bucket": "NAME", "S3Key": "layer.zip"}, CompatibleRuntimes=["python3.12"],
        Description="d", LicenseInfo="MIT"),
}
TEMPLATES = {
    "logs": LOGS, "people": PEOPLE, "functions": VERSIONED, "layers": LAYER, "tables": TABLE, "network": NETWORK, "batch": BATCH,
    "parameters": {"X": PARAMETER}, "repositories": {"X": REPOSITORY}, "buckets": BUCKET, "global tables": GLOBAL_TABLE,
}
ADD, REMOVE, NOT_EQUAL = "ADD", "REMOVE", "NOT_EQUAL"
FILTER = {"logGroupName": None, "filterName": None, "metricTransformations": [
    {"metricName": "m", "metricNamespace": "n", "metricValue": "1", "dimensions": {"d": "$.d"}}]}

# What: the template's resources, the one that is changed, the service, the change, the change back, the differences.
CHANGES = {
    "a log group's retention": (
        LOGS, "Group", "logs",
        lambda c, ids: c.put_retention_policy(logGroupName=ids["Group"], retentionInDays=14),
        lambda c, ids: c.put_retention_policy(logGroupName=ids["Group"], retentionInDays=7),
        [("/RetentionInDays", "7", "14", NOT_EQUAL)]),
    "a log group that keeps everything": (
        LOGS, "Group", "logs",
        lambda c, ids: c.delete_retention_policy(logGroupName=ids["Group"]),
        lambda c, ids: c.put_retention_policy(logGroupName=ids["Group"], retentionInDays=7),
        [("/RetentionInDays", "7", "null", REMOVE)]),
    "a log group's tags": (
        LOGS, "Group", "logs",
        lambda c, ids: c.tag_log_group(logGroupName=ids["Group"], tags={"more": "x"}),
        lambda c, ids: c.untag_log_group(logGroupName=ids["Group"], tags=["more"]),
        [("/Tags/1", "null", '{"Key":"more","Value":"x"}', ADD)]),
    "a metric filter": (
        LOGS, "Filter", "logs",
        lambda c, ids: c.put_metric_filter(
            **FILTER | {"logGroupName": ids["Group"], "filterName": ids["Filter"], "filterPattern": "ERROR"}),
        lambda c, ids: c.put_metric_filter(
            **FILTER | {"logGroupName": ids["Group"], "filterName": ids["Filter"], "filterPattern": "{ $.a = 1 }"}),
        [("/FilterPattern", "{ $.a = 1 }", "ERROR", NOT_EQUAL)]),
    "whom a role trusts": (
        {"X": ROLE}, "X", "iam",
        lambda c, ids: c.update_assume_role_policy(
            RoleName=ids["X"], PolicyDocument=json.dumps(trust("lambda.amazonaws.com", "batch.amazonaws.com"))),
        lambda c, ids: c.update_assume_role_policy(RoleName=ids["X"], PolicyDocument=json.dumps(trust("lambda.amazonaws.com"))),
        [("/AssumeRolePolicyDocument/Statement/0/Principal/Service/1", "null", "batch.amazonaws.com", ADD)]),
    "a role's sessions": (
        {"X": ROLE}, "X", "iam",
        lambda c, ids: c.update_role(RoleName=ids["X"], Description="d", MaxSessionDuration=3600),
        lambda c, ids: c.update_role(RoleName=ids["X"], Description="d", MaxSessionDuration=7200),
        [("/MaxSessionDuration", "7200", "3600", NOT_EQUAL)]),
    "one more inline policy": (
        {"X": ROLE}, "X", "iam",
        lambda c, ids: c.put_role_policy(RoleName=ids["X"], PolicyName="q", PolicyDocument=json.dumps(allow("sqs:*"))),
        lambda c, ids: c.delete_role_policy(RoleName=ids["X"], PolicyName="q"),
        [("/Policies/1", "null", json.dumps({"PolicyName": "q", "PolicyDocument": json.dumps(allow("sqs:*"))}, separators=(",", ":")), ADD)]),
    "an inline policy's actions": (
        {"X": ROLE}, "X", "iam",
        lambda c, ids: c.put_role_policy(
            RoleName=ids["X"], PolicyName="p", PolicyDocument=json.dumps(allow("s3:*", Condition={"Bool": {"aws:x": True}}))),
        lambda c, ids: c.put_role_policy(RoleName=ids["X"], PolicyName="p", PolicyDocument=json.dumps(allow("s3:GetObject"))),
        [("/Policies/0/PolicyDocument/Statement/0/Action/0", "s3:GetObject", "s3:*", NOT_EQUAL),
         ("/Policies/0/PolicyDocument/Statement/0/Condition", "null", '{"Bool":{"aws:x":true}}', ADD)]),
    "a managed policy that is no longer attached": (
        {"X": ROLE}, "X", "iam",
        lambda c, ids: c.detach_role_policy(RoleName=ids["X"], PolicyArn="arn:aws:iam::aws:policy/ReadOnlyAccess"),
        lambda c, ids: c.attach_role_policy(RoleName=ids["X"], PolicyArn="arn:aws:iam::aws:policy/ReadOnlyAccess"),
        [("/ManagedPolicyArns", '["arn:aws:iam::aws:policy/ReadOnlyAccess"]', "null", REMOVE)]),
    "a role's tag": (
        {"X": ROLE}, "X", "iam",
        lambda c, ids: c.tag_role(RoleName=ids["X"], Tags=[{"Key": "stage", "Value": "2"}]),
        lambda c, ids: c.tag_role(RoleName=ids["X"], Tags=[{"Key": "stage", "Value": "1"}]),
        [("/Tags/1/Value", "1", "2", NOT_EQUAL)]),
    "a user's groups": (
        PEOPLE, "User", "iam",
        lambda c, ids: c.remove_user_from_group(UserName=ids["User"], GroupName=ids["Group"]),
        lambda c, ids: c.add_user_to_group(UserName=ids["User"], GroupName=ids["Group"]),
        [("/Groups/0", None, "null", REMOVE)]),
    "an access key": (
        PEOPLE, "Key", "iam",
        lambda c, ids: c.update_access_key(UserName=ids["User"], AccessKeyId=ids["Key"], Status="Inactive"),
        lambda c, ids: c.update_access_key(UserName=ids["User"], AccessKeyId=ids["Key"], Status="Active"),
        [("/Status", "Active", "Inactive", NOT_EQUAL)]),
    "a group's policy": (
        PEOPLE, "Group", "iam",
        lambda c, ids: c.put_group_policy(
            GroupName=ids["Group"], PolicyName="p", PolicyDocument=json.dumps(allow("s3:*") | {"Id": "x"})),
        lambda c, ids: c.put_group_policy(GroupName=ids["Group"], PolicyName="p", PolicyDocument=json.dumps(allow("s3:*"))),
        [("/Policies/0/PolicyDocument/Id", "null", "x", ADD)]),
    "a policy of its own": (
        PEOPLE, "Inline", "iam",
        lambda c, ids: c.put_role_policy(
            RoleName=ids["Role"], PolicyName="inline", PolicyDocument=json.dumps(allow("s3:Put*"))),
        lambda c, ids: c.put_role_policy(
            RoleName=ids["Role"], PolicyName="inline", PolicyDocument=json.dumps(allow("s3:List*"))),
        [("/PolicyDocument/Statement/0/Action/0", "s3:List*", "s3:Put*", NOT_EQUAL)]),
    "a managed policy's default version": (
        PEOPLE, "Managed", "iam",
        lambda c, ids: c.create_policy_version(
            PolicyArn=ids["Managed"], PolicyDocument=json.dumps(allow("sqs:*", "sns:*")), SetAsDefault=True),
        lambda c, ids: c.set_default_policy_version(PolicyArn=ids["Managed"], VersionId="v1"),
        [("/PolicyDocument/Statement/0/Action/1", "null", "sns:*", ADD)]),
    "an instance profile's role": (
        PEOPLE, "Profile", "iam",
        lambda c, ids: c.remove_role_from_instance_profile(InstanceProfileName=ids["Profile"], RoleName=ids["Role"]),
        lambda c, ids: c.add_role_to_instance_profile(InstanceProfileName=ids["Profile"], RoleName=ids["Role"]),
        [("/Roles", None, "null", REMOVE)]),
    "a function's settings": (
        FUNCTION, "X", "lambda",
        lambda c, ids: c.update_function_configuration(
            FunctionName=ids["X"], Timeout=20, Environment={"Variables": {"AA": "2", "CC": "3"}}),
        lambda c, ids: c.update_function_configuration(
            FunctionName=ids["X"], Timeout=10, Environment={"Variables": {"AA": "1", "BB": "true"}}),
        [("/Timeout", "10", "20", NOT_EQUAL),
         ("/Environment/Variables/AA", "1", "2", NOT_EQUAL),
         ("/Environment/Variables/BB", "true", "null", REMOVE),
         ("/Environment/Variables/CC", "null", "3", ADD)]),
    "a function's concurrency": (
        FUNCTION, "X", "lambda",
        lambda c, ids: c.delete_function_concurrency(FunctionName=ids["X"]),
        lambda c, ids: c.put_function_concurrency(FunctionName=ids["X"], ReservedConcurrentExecutions=2),
        [("/ReservedConcurrentExecutions", "2", "null", REMOVE)]),
    "what an alias names": (
        VERSIONED, "Alias", "lambda",
        lambda c, ids: c.update_alias(FunctionName=ids["X"], Name="live", FunctionVersion="$LATEST"),
        lambda c, ids: c.update_alias(FunctionName=ids["X"], Name="live", FunctionVersion="1"),
        [("/FunctionVersion", "1", "$LATEST", NOT_EQUAL)]),
    "what becomes of a function's events": (
        VERSIONED, "Events", "lambda",
        lambda c, ids: c.update_function_event_invoke_config(FunctionName=ids["X"], Qualifier="$LATEST", MaximumRetryAttempts=0),
        lambda c, ids: c.update_function_event_invoke_config(FunctionName=ids["X"], Qualifier="$LATEST", MaximumRetryAttempts=1),
        [("/MaximumRetryAttempts", "1", "0", NOT_EQUAL)]),
    "a table's throughput": (
        TABLE, "X", "dynamodb",
        lambda c, ids: c.update_table(TableName=ids["X"], ProvisionedThroughput=capacity(7)),
        lambda c, ids: c.update_table(TableName=ids["X"], ProvisionedThroughput=capacity(5)),
        [("/ProvisionedThroughput/ReadCapacityUnits", "5", "7", NOT_EQUAL)]),
    "a table that is paid for by the request": (
        TABLE, "X", "dynamodb",
        lambda c, ids: c.update_table(TableName=ids["X"], BillingMode="PAY_PER_REQUEST"),
        lambda c, ids: c.update_table(
            TableName=ids["X"], BillingMode="PROVISIONED", ProvisionedThroughput=capacity(5),
            GlobalSecondaryIndexUpdates=[{"Update": {
                "IndexName": "index", "ProvisionedThroughput": {"ReadCapacityUnits": 1, "WriteCapacityUnits": 1}}}]),
        [("/ProvisionedThroughput", '{"ReadCapacityUnits":"5","WriteCapacityUnits":5}', "null", REMOVE)]),
    "a table that must not go": (
        TABLE, "X", "dynamodb",
        lambda c, ids: c.update_table(TableName=ids["X"], DeletionProtectionEnabled=True),
        lambda c, ids: c.update_table(TableName=ids["X"], DeletionProtectionEnabled=False),
        [("/DeletionProtectionEnabled", "false", "true", NOT_EQUAL)]),
    "a table's expiry": (
        TABLE, "X", "dynamodb",
        lambda c, ids: c.update_time_to_live(
            TableName=ids["X"], TimeToLiveSpecification={"AttributeName": "expires", "Enabled": False}),
        lambda c, ids: c.update_time_to_live(
            TableName=ids["X"], TimeToLiveSpecification={"AttributeName": "expires", "Enabled": True}),
        [("/TimeToLiveSpecification/Enabled", "true", "false", NOT_EQUAL)]),
    "a replica that must not go": (
        GLOBAL_TABLE, "X", "dynamodb",
        lambda c, ids: c.update_table(TableName=ids["X"], DeletionProtectionEnabled=True),
        lambda c, ids: c.update_table(TableName=ids["X"], DeletionProtectionEnabled=False),
        [("/Replicas/0/DeletionProtectionEnabled", "false", "true", NOT_EQUAL)]),
    "a bucket's versions and rules": (
        BUCKET, "Bucket", "s3",
        lambda c, ids: (c.put_bucket_versioning(Bucket=ids["Bucket"], VersioningConfiguration={"Status": "Suspended"}),
                        c.delete_bucket_lifecycle(Bucket=ids["Bucket"])),
        lambda c, ids: (c.put_bucket_versioning(Bucket=ids["Bucket"], VersioningConfiguration={"Status": "Enabled"}),
                        c.put_bucket_lifecycle_configuration(Bucket=ids["Bucket"], LifecycleConfiguration={"Rules": [
                            {"ID": "r", "Status": "Enabled", "Filter": {},
                             "NoncurrentVersionExpiration": {"NoncurrentDays": 30}}]})),
        [("/VersioningConfiguration/Status", "Enabled", "Suspended", NOT_EQUAL), ("/LifecycleConfiguration", None, "null", REMOVE)]),
    "one more rule of a security group": (
        NETWORK, "Group", "ec2",
        lambda c, ids: c.authorize_security_group_ingress(GroupId=ids["Group"], IpPermissions=SSH),
        lambda c, ids: c.revoke_security_group_ingress(GroupId=ids["Group"], IpPermissions=SSH),
        [("/SecurityGroupIngress/2", "null", '{"IpProtocol":"tcp","CidrIp":"0.0.0.0/0","FromPort":22,"ToPort":22}', ADD)]),
    "one rule less of a security group": (
        NETWORK, "Group", "ec2",
        lambda c, ids: c.revoke_security_group_ingress(GroupId=ids["Group"], IpPermissions=HTTPS),
        lambda c, ids: c.authorize_security_group_ingress(GroupId=ids["Group"], IpPermissions=HTTPS),
        [("/SecurityGroupIngress/0", None, "null", REMOVE)]),
    "a VPC's names": (
        NETWORK, "Vpc", "ec2",
        lambda c, ids: c.modify_vpc_attribute(VpcId=ids["Vpc"], EnableDnsHostnames={"Value": False}),
        lambda c, ids: c.modify_vpc_attribute(VpcId=ids["Vpc"], EnableDnsHostnames={"Value": True}),
        [("/EnableDnsHostnames", "True", "false", NOT_EQUAL)]),
    "a subnet's addresses": (
        NETWORK, "Subnet", "ec2",
        lambda c, ids: c.modify_subnet_attribute(SubnetId=ids["Subnet"], MapPublicIpOnLaunch={"Value": True}),
        lambda c, ids: c.modify_subnet_attribute(SubnetId=ids["Subnet"], MapPublicIpOnLaunch={"Value": False}),
        [("/MapPublicIpOnLaunch", "false", "true", NOT_EQUAL)]),
    "where a route leads": (
        NETWORK, "Route", "ec2",
        lambda c, ids: c.replace_route(
            RouteTableId=ids["Table"], DestinationCidrBlock="0.0.0.0/0", NatGatewayId=ids["Nat"]),
        lambda c, ids: c.replace_route(
            RouteTableId=ids["Table"], DestinationCidrBlock="0.0.0.0/0", GatewayId=ids["Igw"]),
        [("/GatewayId", None, "null", REMOVE)]),
    "an endpoint's tables": (
        NETWORK, "Endpoint", "ec2",
        lambda c, ids: c.modify_vpc_endpoint(VpcEndpointId=ids["Endpoint"], RemoveRouteTableIds=[ids["Table"]]),
        lambda c, ids: c.modify_vpc_endpoint(VpcEndpointId=ids["Endpoint"], AddRouteTableIds=[ids["Table"]]),
        [("/RouteTableIds", None, "null", REMOVE)]),
    "a network ACL's entry": (
        NETWORK, "Entry", "ec2",
        lambda c, ids: entry(c, ids, 80), lambda c, ids: entry(c, ids, 443),
        [("/CidrBlock", "10.1.2.3/8", "10.0.0.0/8", NOT_EQUAL),
         ("/PortRange/From", "443", "80", NOT_EQUAL), ("/PortRange/To", "443", "80", NOT_EQUAL)]),
    "a gateway's tags": (
        NETWORK, "Igw", "ec2",
        lambda c, ids: c.create_tags(Resources=[ids["Igw"]], Tags=[{"Key": "x", "Value": "y"}]),
        lambda c, ids: c.delete_tags(Resources=[ids["Igw"]], Tags=[{"Key": "x"}]),
        [("/Tags/1", "null", '{"Key":"x","Value":"y"}', ADD)]),
    "a launch template's newest version": (
        NETWORK, "Template", "ec2",
        lambda c, ids: c.create_launch_template_version(
            LaunchTemplateId=ids["Template"], SourceVersion="1", LaunchTemplateData={"InstanceType": "c5.large"}),
        lambda c, ids: c.delete_launch_template_versions(LaunchTemplateId=ids["Template"], Versions=["2"]),
        [("/LaunchTemplateData/InstanceType", "m5.large", "c5.large", NOT_EQUAL)]),
    "a parameter's value": (
        {"X": PARAMETER}, "X", "ssm",
        lambda c, ids: c.put_parameter(Name=ids["X"], Value='{"a":1}', Description="d", Overwrite=True),
        lambda c, ids: c.put_parameter(Name=ids["X"], Value='{"a": 1}', Description="d", Overwrite=True),
        [("/Value", '{"a": 1}', '{"a":1}', NOT_EQUAL)]),
    "a parameter's tags": (
        {"X": PARAMETER}, "X", "ssm",
        lambda c, ids: c.add_tags_to_resource(
            ResourceType="Parameter", ResourceId=ids["X"], Tags=[{"Key": "c", "Value": "d"}]),
        lambda c, ids: c.remove_tags_from_resource(ResourceType="Parameter", ResourceId=ids["X"], TagKeys=["c"]),
        [("/Tags/c", "null", "d", ADD)]),
    "whether a repository's tags move": (
        {"X": REPOSITORY}, "X", "ecr",
        lambda c, ids: c.put_image_tag_mutability(repositoryName=ids["X"], imageTagMutability="MUTABLE"),
        lambda c, ids: c.put_image_tag_mutability(
            repositoryName=ids["X"], imageTagMutability="IMMUTABLE_WITH_EXCLUSION",
            imageTagMutabilityExclusionFilters=[{"filterType": "WILDCARD", "filter": "dev-*"}]),
        [("/ImageTagMutability", "IMMUTABLE_WITH_EXCLUSION", "MUTABLE", NOT_EQUAL),
         ("/ImageTagMutabilityExclusionFilters", None, "null", REMOVE)]),
    "what a repository lets others do": (
        {"X": REPOSITORY}, "X", "ecr",
        lambda c, ids: c.set_repository_policy(repositoryName=ids["X"], policyText=json.dumps({
            "Version": "2012-10-17",
            "Statement": [{"Sid": "s", "Effect": "Allow", "Principal": "*", "Action": ["ecr:BatchGetImage", "ecr:PutImage"]}]})),
        lambda c, ids: c.set_repository_policy(repositoryName=ids["X"], policyText=json.dumps({
            "Version": "2012-10-17",
            "Statement": [{"Sid": "s", "Effect": "Allow", "Principal": "*", "Action": ["ecr:BatchGetImage"]}]})),
        [("/RepositoryPolicyText/Statement/0/Action/1", "null", "ecr:PutImage", ADD)]),
    "what expires in a repository": (
        {"X": REPOSITORY}, "X", "ecr",
        lambda c, ids: c.delete_lifecycle_policy(repositoryName=ids["X"]),
        lambda c, ids: c.put_lifecycle_policy(
            repositoryName=ids["X"], lifecyclePolicyText=REPOSITORY["Properties"]["LifecyclePolicy"]["LifecyclePolicyText"]),
        [("/LifecyclePolicy", None, "null", REMOVE)]),
    "a compute environment's size": (
        BATCH, "Environment", "batch",
        lambda c, ids: update_ce(c, ids, 16), lambda c, ids: update_ce(c, ids, 8),
        [("/ComputeResources/MaxvCpus", "8", "16", NOT_EQUAL)]),
    "a queue's priority": (
        BATCH, "Queue", "batch",
        lambda c, ids: c.update_job_queue(jobQueue=ids["Queue"], priority=7, state="DISABLED"),
        lambda c, ids: c.update_job_queue(jobQueue=ids["Queue"], priority=5, state="ENABLED"),
        [("/Priority", "5", "7", NOT_EQUAL), ("/State", "Enabled", "DISABLED", NOT_EQUAL)]),
    "how shares are weighed": (
        BATCH, "Shares", "batch",
        lambda c, ids: shares(c, ids, 2.0), lambda c, ids: shares(c, ids, 0.5),
        [("/FairsharePolicy/ShareDistribution/0/WeightFactor", "0.5", "2", NOT_EQUAL)]),
    "how much there is of something": (
        BATCH, "Licence", "batch",
        lambda c, ids: c.update_consumable_resource(consumableResource=ids["Licence"], operation="ADD", quantity=2),
        lambda c, ids: c.update_consumable_resource(consumableResource=ids["Licence"], operation="SET", quantity=5),
        [("/TotalQuantity", "5", "7", NOT_EQUAL)]),
    "a job definition's tags": (
        BATCH, "Definition", "batch",
        lambda c, ids: c.untag_resource(resourceArn=ids["Definition"], tagKeys=["a"]),
        lambda c, ids: c.tag_resource(resourceArn=ids["Definition"], tags={"a": "b"}),
        [("/Tags", '{"a":"b"}', "null", REMOVE)]),
    "a bucket's policy": (
        BUCKET, "Policy", "s3",
        lambda c, ids: c.put_bucket_policy(Bucket=ids["Bucket"], Policy=json.dumps({
            "Version": "2012-10-17", "Statement": [{
                "Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"},
                "Action": ["s3:GetObject", "s3:PutObject"], "Resource": f"arn:aws:s3:::{ids['Bucket']}/*"}]})),
        lambda c, ids: c.put_bucket_policy(Bucket=ids["Bucket"], Policy=json.dumps({
            "Version": "2012-10-17", "Statement": [{
                "Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"},
                "Action": ["s3:GetObject"], "Resource": f"arn:aws:s3:::{ids['Bucket']}/*"}]})),
        [("/PolicyDocument/Statement/0/Action/1", "null", "s3:PutObject", ADD)]),
}
