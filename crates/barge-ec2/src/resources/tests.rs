//! The pipeline's network, as CloudFormation makes, changes and removes it.

use super::*;
use crate::testing::Bench;
use barge_wire::ec2::{DescribeRouteTablesRequest, DescribeSecurityGroupsRequest, DescribeVpcsRequest, EC2 as _};
use std::collections::BTreeMap;

/// A stack that is being made: what `Ref` and `GetAtt` give so far.
struct Stack {
    bench: Bench,
    made: Vec<(String, String, Creation)>,
    values: BTreeMap<String, String>,
}

impl Stack {
    fn new() -> Self {
        Self { bench: Bench::new(), made: Vec::new(), values: BTreeMap::new() }
    }

    fn provider(&self, type_name: &str) -> Arc<dyn ResourceProvider> {
        let name = format!("AWS::EC2::{type_name}");
        resources(&self.bench.ec2).into_iter().find(|provider| provider.schema().type_name == name).unwrap()
    }

    /// `$Name` in `json` stands for Ref, `$Name.Attribute` for GetAtt.
    fn creation(&self, logical_id: &str, json: &str) -> Creation {
        let mut text = json.to_owned();
        for (name, value) in self.values.iter().rev() {
            text = text.replace(&format!("${name}\""), &format!("{value}\""));
        }
        Creation {
            properties: Document::from_json(text.as_bytes()).unwrap(),
            logical_id: logical_id.to_owned(),
            stack_name: "stack".to_owned(),
            stack_id: "arn:aws:cloudformation:us-east-1:000000000000:stack/stack/1".to_owned(),
            token: format!("token-of-{logical_id}"),
            tags: [("aws:cloudformation:stack-name".to_owned(), "stack".to_owned())].into(),
        }
    }

    /// Creates twice, as after a crash, and checks that both give the same and that `read` agrees.
    async fn make(&mut self, logical_id: &str, type_name: &str, json: &str) -> Resource {
        let (provider, creation) = (self.provider(type_name), self.creation(logical_id, json));
        let first = provider.create(&self.bench.cx, &creation).await.unwrap();
        let again = provider.create(&self.bench.cx, &creation).await.unwrap();
        assert_eq!(first, again, "{logical_id}");
        let read = provider.read(&self.bench.cx, &first.physical_id, &creation.properties).await.unwrap();
        assert_eq!(read.unwrap().resource, first, "{logical_id}");
        self.values.insert(logical_id.to_owned(), first.physical_id.clone());
        for attribute in provider.schema().attributes {
            let value = first.attributes.get(*attribute).unwrap_or_else(|| panic!("{logical_id} lacks {attribute}"));
            if let Some(text) = value.as_str() {
                self.values.insert(format!("{logical_id}.{attribute}"), text.to_owned());
            }
        }
        self.made.push((type_name.to_owned(), first.physical_id.clone(), creation));
        first
    }

    async fn update(&mut self, logical_id: &str, json: &str) -> Resource {
        let new = self.creation(logical_id, json);
        let at = self.made.iter().position(|(.., creation)| creation.logical_id == logical_id).unwrap();
        let (type_name, id, old) = &self.made[at];
        let updated = self.provider(type_name).update(&self.bench.cx, id, &old.properties, &new).await.unwrap();
        assert_eq!(updated.physical_id, *id);
        self.made[at].2 = new;
        updated
    }

    /// Deletes everything, the last made first, each twice.
    async fn delete(&mut self) {
        while let Some((type_name, id, creation)) = self.made.pop() {
            let provider = self.provider(&type_name);
            for _ in 0..2 {
                provider.delete(&self.bench.cx, &id, &creation.properties).await.unwrap();
            }
            let read = provider.read(&self.bench.cx, &id, &creation.properties).await.unwrap();
            assert_eq!(read, None, "{}", creation.logical_id);
        }
    }

    async fn vpcs(&self) -> usize {
        let found = self.bench.ec2.describe_vpcs(&self.bench.cx, DescribeVpcsRequest::default()).await.unwrap();
        found.vpcs.unwrap().len()
    }
}

async fn pipeline() -> Stack {
    let mut stack = Stack::new();
    for (logical_id, type_name, json) in [
        (
            "Vpc",
            "VPC",
            r#"{"CidrBlock": "10.0.0.0/16", "EnableDnsHostnames": "true", "EnableDnsSupport": true,
                "Tags": [{"Key": "Name", "Value": "pipeline"}]}"#,
        ),
        (
            "Public",
            "Subnet",
            r#"{"VpcId": "$Vpc", "CidrBlock": "10.0.0.0/24", "AvailabilityZone": "us-east-1a", "MapPublicIpOnLaunch": "True"}"#,
        ),
        ("Private", "Subnet", r#"{"VpcId": "$Vpc", "CidrBlock": "10.0.1.0/24", "AvailabilityZone": "us-east-1b"}"#),
        ("Igw", "InternetGateway", "{}"),
        ("Attachment", "VPCGatewayAttachment", r#"{"VpcId": "$Vpc", "InternetGatewayId": "$Igw"}"#),
        ("Eip", "EIP", r#"{"Domain": "vpc"}"#),
        ("Nat", "NatGateway", r#"{"AllocationId": "$Eip.AllocationId", "SubnetId": "$Public"}"#),
        ("PublicTable", "RouteTable", r#"{"VpcId": "$Vpc"}"#),
        ("PrivateTable", "RouteTable", r#"{"VpcId": "$Vpc"}"#),
        (
            "ToInternet",
            "Route",
            r#"{"RouteTableId": "$PublicTable", "DestinationCidrBlock": "0.0.0.0/0", "GatewayId": "$Igw"}"#,
        ),
        (
            "ToNat",
            "Route",
            r#"{"RouteTableId": "$PrivateTable", "DestinationCidrBlock": "0.0.0.0/0", "NatGatewayId": "$Nat"}"#,
        ),
        ("PublicHome", "SubnetRouteTableAssociation", r#"{"RouteTableId": "$PublicTable", "SubnetId": "$Public"}"#),
        ("PrivateHome", "SubnetRouteTableAssociation", r#"{"RouteTableId": "$PrivateTable", "SubnetId": "$Private"}"#),
        (
            "Group",
            "SecurityGroup",
            r#"{"VpcId": "$Vpc", "GroupDescription": "jobs",
                "SecurityGroupIngress": [{"IpProtocol": "tcp", "FromPort": "443", "ToPort": 443, "CidrIp": "10.0.0.0/16"}],
                "SecurityGroupEgress": [{"IpProtocol": -1, "CidrIp": "0.0.0.0/0", "Description": "all"}]}"#,
        ),
        (
            "Rule",
            "SecurityGroupIngress",
            r#"{"GroupId": "$Group", "IpProtocol": "-1", "SourceSecurityGroupId": "$Group.GroupId"}"#,
        ),
        (
            "Out",
            "SecurityGroupEgress",
            r#"{"GroupId": "$Group", "IpProtocol": "udp", "FromPort": 53, "ToPort": 53, "CidrIpv6": "::/0"}"#,
        ),
        (
            "S3",
            "VPCEndpoint",
            r#"{"VpcId": "$Vpc", "ServiceName": "com.amazonaws.us-east-1.s3", "RouteTableIds": ["$PrivateTable"],
                "PolicyDocument": {"Statement": [{"Effect": "Allow", "Principal": "*", "Action": "s3:*", "Resource": "*"}]}}"#,
        ),
        (
            "Ecr",
            "VPCEndpoint",
            r#"{"VpcId": "$Vpc", "ServiceName": "com.amazonaws.us-east-1.ecr.api", "VpcEndpointType": "Interface",
                "PrivateDnsEnabled": true, "SubnetIds": ["$Private"], "SecurityGroupIds": ["$Group"]}"#,
        ),
    ] {
        stack.make(logical_id, type_name, json).await;
    }
    stack
}

#[tokio::test]
async fn the_pipelines_network_is_made_and_removed() {
    let mut stack = pipeline().await;
    assert_eq!(stack.vpcs().await, 2);
    assert_eq!(stack.values["Attachment"], format!("IGW|{}", stack.values["Vpc"]));
    assert_eq!(stack.values["Eip"], stack.values["Eip.PublicIp"]);
    let input = DescribeRouteTablesRequest {
        route_table_ids: Some(vec![stack.values["PrivateTable"].clone()]),
        ..Default::default()
    };
    let tables = stack.bench.ec2.describe_route_tables(&stack.bench.cx, input).await.unwrap();
    assert_eq!(tables.route_tables.unwrap()[0].routes.as_ref().map(Vec::len), Some(3));
    stack.delete().await;
    assert_eq!(stack.vpcs().await, 1);
}

#[tokio::test]
async fn changes_in_place() {
    let mut stack = pipeline().await;
    stack.update("Vpc", r#"{"CidrBlock": "10.0.0.0/16", "EnableDnsSupport": "false"}"#).await;
    stack.update("Public", r#"{"VpcId": "$Vpc", "CidrBlock": "10.0.0.0/24", "AvailabilityZone": "us-east-1a"}"#).await;
    stack
        .update(
            "ToNat",
            r#"{"RouteTableId": "$PrivateTable", "DestinationCidrBlock": "0.0.0.0/0", "GatewayId": "$Igw"}"#,
        )
        .await;
    stack
        .update(
            "Group",
            r#"{"VpcId": "$Vpc", "GroupDescription": "jobs", "SecurityGroupIngress": [
                {"IpProtocol": "tcp", "FromPort": 80, "ToPort": 80, "CidrIp": "0.0.0.0/0"}]}"#,
        )
        .await;
    let input =
        DescribeSecurityGroupsRequest { group_ids: Some(vec![stack.values["Group"].clone()]), ..Default::default() };
    let groups = stack.bench.ec2.describe_security_groups(&stack.bench.cx, input).await.unwrap();
    let group = groups.security_groups.unwrap().remove(0);
    let mut ports: Vec<_> = group.ip_permissions.unwrap().into_iter().map(|one| one.from_port).collect();
    ports.sort();
    assert_eq!(ports, [None, Some(80)]);
    let out: Vec<_> = group.ip_permissions_egress.unwrap().into_iter().map(|one| one.ip_protocol.unwrap()).collect();
    assert_eq!(out, ["udp"], "what the group no longer lists is not replaced by anything");
    stack
        .update(
            "S3",
            r#"{"VpcId": "$Vpc", "ServiceName": "com.amazonaws.us-east-1.s3", "RouteTableIds": ["$PublicTable"]}"#,
        )
        .await;
    stack
        .update(
            "Ecr",
            r#"{"VpcId": "$Vpc", "ServiceName": "com.amazonaws.us-east-1.ecr.api", "VpcEndpointType": "Interface",
                "SubnetIds": ["$Public"], "SecurityGroupIds": ["$Group"]}"#,
        )
        .await;
    stack.delete().await;
    assert_eq!(stack.vpcs().await, 1);
}

#[tokio::test]
async fn stack_tags_and_own_tags_are_on_the_record() {
    let stack = pipeline().await;
    let input = DescribeVpcsRequest { vpc_ids: Some(vec![stack.values["Vpc"].clone()]), ..Default::default() };
    let vpcs = stack.bench.ec2.describe_vpcs(&stack.bench.cx, input).await.unwrap().vpcs.unwrap();
    let keys: Vec<_> = vpcs[0].tags.iter().flatten().filter_map(|tag| tag.key.as_deref()).collect();
    assert_eq!(keys, ["Name", "aws:cloudformation:stack-name"]);
}

#[tokio::test]
async fn a_creation_that_fails_says_why_and_leaves_nothing() {
    let mut stack = Stack::new();
    stack.make("Vpc", "VPC", r#"{"CidrBlock": "10.0.0.0/16"}"#).await;
    for (type_name, json, code) in [
        ("Subnet", r#"{"VpcId": "$Vpc", "CidrBlock": "10.9.0.0/24"}"#, "InvalidSubnet.Range"),
        ("Subnet", r#"{"VpcId": "vpc-none", "CidrBlock": "10.0.0.0/24"}"#, "InvalidVpcID.NotFound"),
        ("VPC", r#"{"CidrBlock": "10.9.0.0/24", "EnableDnsSupport": "maybe"}"#, "InvalidParameterValue"),
        ("Route", r#"{"RouteTableId": "rtb-none", "DestinationCidrBlock": "0.0.0.0/0"}"#, "MissingParameter"),
        ("SecurityGroup", r#"{"GroupDescription": "d", "SecurityGroupIngress": [{"Port": 1}]}"#, "ValidationError"),
        ("SecurityGroupIngress", r#"{"IpProtocol": "-1", "CidrIp": "0.0.0.0/0"}"#, "MissingParameter"),
    ] {
        let creation = stack.creation("X", json);
        let error = stack.provider(type_name).create(&stack.bench.cx, &creation).await.unwrap_err();
        assert!(error.is(code), "{type_name}: {error}");
    }
    stack.delete().await;
    assert_eq!(stack.vpcs().await, 1);
}

#[tokio::test]
async fn a_group_without_a_vpc_is_in_the_default_one_and_goes_by_its_name() {
    let mut stack = Stack::new();
    let group = stack.make("Group", "SecurityGroup", r#"{"GroupDescription": "d", "GroupName": "web"}"#).await;
    assert_eq!(group.physical_id, "web");
    stack.update("Group", r#"{"GroupDescription": "d", "GroupName": "web", "Tags": [{"Key": "a", "Value": 1}]}"#).await;
    stack.delete().await;
}

#[tokio::test]
async fn a_network_acl_with_entries_stands_before_a_subnet() {
    let mut stack = Stack::new();
    for (logical_id, type_name, json) in [
        ("Vpc", "VPC", r#"{"CidrBlock": "10.0.0.0/16"}"#),
        ("Subnet", "Subnet", r#"{"VpcId": "$Vpc", "CidrBlock": "10.0.0.0/24"}"#),
        ("Acl", "NetworkAcl", r#"{"VpcId": "$Vpc"}"#),
        (
            "Https",
            "NetworkAclEntry",
            r#"{"NetworkAclId": "$Acl", "RuleNumber": "100", "Protocol": 6, "RuleAction": "allow", "CidrBlock": "0.0.0.0/0",
                "PortRange": {"From": 443, "To": "443"}}"#,
        ),
        (
            "Out",
            "NetworkAclEntry",
            r#"{"NetworkAclId": "$Acl", "RuleNumber": 100, "Protocol": -1, "RuleAction": "deny", "Egress": "true",
                "CidrBlock": "10.0.0.0/8"}"#,
        ),
        ("Association", "SubnetNetworkAclAssociation", r#"{"NetworkAclId": "$Acl", "SubnetId": "$Subnet"}"#),
    ] {
        stack.make(logical_id, type_name, json).await;
    }
    let described = async |stack: &Stack| {
        let input = barge_wire::ec2::DescribeNetworkAclsRequest {
            network_acl_ids: Some(vec![stack.values["Acl"].clone()]),
            ..Default::default()
        };
        stack.bench.ec2.describe_network_acls(&stack.bench.cx, input).await.unwrap().network_acls.unwrap().remove(0)
    };
    let acl = described(&stack).await;
    assert_eq!(acl.associations.unwrap()[0].subnet_id.as_ref(), Some(&stack.values["Subnet"]));
    let shown: Vec<_> = acl.entries.unwrap().iter().map(|e| (e.egress.unwrap(), e.rule_number.unwrap())).collect();
    assert_eq!(shown, [(true, 100), (true, 32767), (false, 100), (false, 32767)]);
    stack
        .update(
            "Https",
            r#"{"NetworkAclId": "$Acl", "RuleNumber": 100, "Protocol": 17, "RuleAction": "deny", "CidrBlock": "0.0.0.0/0",
                "PortRange": {"From": 53, "To": 53}}"#,
        )
        .await;
    let entry = described(&stack).await.entries.unwrap().remove(2);
    assert_eq!((entry.protocol.as_deref(), entry.port_range.unwrap().to), (Some("17"), Some(53)));
    stack.delete().await;
}

#[tokio::test]
async fn a_launch_template_gets_a_version_for_each_change() {
    let mut stack = Stack::new();
    let json = r#"{"LaunchTemplateName": "jobs", "LaunchTemplateData": {"InstanceType": "m5.large", "UserData": "eA==",
        "BlockDeviceMappings": [{"DeviceName": "/dev/xvda", "Ebs": {"VolumeSize": "100", "VolumeType": "gp3"}}]},
        "TagSpecifications": [{"ResourceType": "launch-template", "Tags": [{"Key": "a", "Value": "b"}]}]}"#;
    let made = stack.make("Template", "LaunchTemplate", json).await;
    assert_eq!(made.attributes["LatestVersionNumber"], "1".into());
    let changed = stack.update("Template", &json.replace("m5.large", "c5.large")).await;
    assert_eq!(changed.attributes["LatestVersionNumber"], "2".into());
    assert_eq!(changed.attributes["DefaultVersionNumber"], "1".into());
    let input = barge_wire::ec2::DescribeLaunchTemplateVersionsRequest {
        launch_template_name: Some("jobs".to_owned()),
        versions: Some(vec!["$Latest".to_owned()]),
        ..Default::default()
    };
    let found = stack.bench.ec2.describe_launch_template_versions(&stack.bench.cx, input).await.unwrap();
    let version = found.launch_template_versions.unwrap().remove(0);
    let data = version.launch_template_data.unwrap();
    assert_eq!(data.instance_type.unwrap().as_str(), "c5.large");
    assert_eq!(data.block_device_mappings.unwrap()[0].ebs.as_ref().unwrap().volume_size, Some(100));
    stack.delete().await;
}
