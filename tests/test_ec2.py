"""EC2's network as boto3 and the aws CLI see it."""

import functools
import json

import pytest
from botocore.exceptions import ClientError

from conftest import ACCOUNT, REGION
from test_cloudformation import Stacks


@pytest.fixture
def ec2(aws):
    return aws("ec2")


@pytest.fixture
def vpc(ec2):
    return ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]


def refused(code, operation, **arguments):
    with pytest.raises(ClientError) as refusal:
        operation(**arguments)
    assert refusal.value.response["Error"]["Code"] == code, refusal.value
    return refusal.value.response


def subnet(ec2, vpc, cidr="10.0.0.0/24", zone=f"{REGION}a"):
    return ec2.create_subnet(VpcId=vpc, CidrBlock=cidr, AvailabilityZone=zone)["Subnet"]["SubnetId"]


def test_regions_and_zones(ec2):
    zones = ec2.describe_availability_zones()["AvailabilityZones"]
    assert [(z["ZoneName"], z["ZoneId"], z["State"]) for z in zones] == [
        (f"us-east-1{letter}", f"use1-az{n}", "available") for n, letter in enumerate("abc", 1)]
    assert [r["RegionName"] for r in ec2.describe_regions(RegionNames=["eu-west-1"])["Regions"]] == ["eu-west-1"]
    assert REGION in [r["RegionName"] for r in ec2.describe_regions()["Regions"]]
    refused("InvalidParameterValue", ec2.describe_availability_zones, ZoneNames=["us-east-1z"])


def test_a_region_has_a_default_vpc(aws):
    ec2 = aws("ec2", region_name="eu-north-1")
    default = ec2.describe_vpcs(Filters=[{"Name": "is-default", "Values": ["true"]}])["Vpcs"]
    assert [vpc["CidrBlock"] for vpc in default] == ["172.31.0.0/16"]
    subnets = ec2.describe_subnets(Filters=[{"Name": "default-for-az", "Values": ["true"]}])["Subnets"]
    assert sorted(s["AvailabilityZone"] for s in subnets) == ["eu-north-1a", "eu-north-1b", "eu-north-1c"]
    assert all(s["MapPublicIpOnLaunch"] and s["AvailableIpAddressCount"] == 4091 for s in subnets)
    refused("DefaultVpcAlreadyExists", ec2.create_default_vpc)


def test_a_vpc_from_creation_to_deletion(ec2):
    tags = [{"ResourceType": "vpc", "Tags": [{"Key": "Name", "Value": "pipeline"}]}]
    made = ec2.create_vpc(CidrBlock="10.1.0.0/16", TagSpecifications=tags)["Vpc"]
    assert made["State"] == "available" and made["OwnerId"] == ACCOUNT and not made["IsDefault"]
    vpc = made["VpcId"]
    ec2.get_waiter("vpc_available").wait(VpcIds=[vpc])
    by_tag = ec2.describe_vpcs(Filters=[{"Name": "tag:Name", "Values": ["pipe*"]}])["Vpcs"]
    assert vpc in [v["VpcId"] for v in by_tag]
    ec2.modify_vpc_attribute(VpcId=vpc, EnableDnsHostnames={"Value": True})
    assert ec2.describe_vpc_attribute(VpcId=vpc, Attribute="enableDnsHostnames")["EnableDnsHostnames"]["Value"]
    here = [{"Name": "vpc-id", "Values": [vpc]}]
    assert len(ec2.describe_route_tables(Filters=here)["RouteTables"]) == 1
    assert len(ec2.describe_network_acls(Filters=here)["NetworkAcls"]) == 1
    assert [g["GroupName"] for g in ec2.describe_security_groups(Filters=here)["SecurityGroups"]] == ["default"]
    inner = subnet(ec2, vpc, "10.1.0.0/24")
    message = refused("DependencyViolation", ec2.delete_vpc, VpcId=vpc)["Error"]["Message"]
    assert message == f"The vpc '{vpc}' has dependencies and cannot be deleted."
    ec2.delete_subnet(SubnetId=inner)
    ec2.delete_vpc(VpcId=vpc)
    message = refused("InvalidVpcID.NotFound", ec2.describe_vpcs, VpcIds=[vpc])["Error"]["Message"]
    assert message == f"The vpc ID '{vpc}' does not exist"


def test_the_public_and_the_private_subnet(ec2, vpc):
    public = subnet(ec2, vpc, "10.0.0.0/24", f"{REGION}a")
    private = subnet(ec2, vpc, "10.0.1.0/24", f"{REGION}b")
    ec2.modify_subnet_attribute(SubnetId=public, MapPublicIpOnLaunch={"Value": True})
    igw = ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
    ec2.attach_internet_gateway(InternetGatewayId=igw, VpcId=vpc)
    address = ec2.allocate_address(Domain="vpc")
    nat = ec2.create_nat_gateway(SubnetId=public, AllocationId=address["AllocationId"])["NatGateway"]["NatGatewayId"]
    ec2.get_waiter("nat_gateway_available").wait(NatGatewayIds=[nat])
    tables = {}
    for home, target in [(public, {"GatewayId": igw}), (private, {"NatGatewayId": nat})]:
        table = ec2.create_route_table(VpcId=vpc)["RouteTable"]["RouteTableId"]
        assert ec2.create_route(RouteTableId=table, DestinationCidrBlock="0.0.0.0/0", **target)["Return"]
        association = ec2.associate_route_table(RouteTableId=table, SubnetId=home)["AssociationId"]
        tables[table] = association
    found = ec2.describe_route_tables(Filters=[{"Name": "association.subnet-id", "Values": [private]}])["RouteTables"]
    assert [(r.get("GatewayId"), r.get("NatGatewayId"), r["State"]) for r in found[0]["Routes"]] == [
        ("local", None, "active"), (None, nat, "active")]
    shown = ec2.describe_addresses(AllocationIds=[address["AllocationId"]])["Addresses"][0]
    assert shown["PublicIp"] == address["PublicIp"] and shown["AssociationId"].startswith("eipassoc-")
    interfaces = ec2.describe_network_interfaces(Filters=[{"Name": "subnet-id", "Values": [public]}])
    assert interfaces["NetworkInterfaces"][0]["Association"]["PublicIp"] == address["PublicIp"]
    refused("DependencyViolation", ec2.delete_subnet, SubnetId=public)
    refused("InvalidIPAddress.InUse", ec2.release_address, AllocationId=address["AllocationId"])

    ec2.delete_nat_gateway(NatGatewayId=nat)
    assert ec2.describe_nat_gateways(NatGatewayIds=[nat])["NatGateways"][0]["State"] == "deleted"
    found = ec2.describe_route_tables(Filters=[{"Name": "route.state", "Values": ["blackhole"]}])["RouteTables"]
    assert [t["RouteTableId"] for t in found if t["VpcId"] == vpc] == [list(tables)[1]]
    ec2.release_address(AllocationId=address["AllocationId"])
    ec2.detach_internet_gateway(InternetGatewayId=igw, VpcId=vpc)
    ec2.delete_internet_gateway(InternetGatewayId=igw)
    for table, association in tables.items():
        ec2.disassociate_route_table(AssociationId=association)
        ec2.delete_route_table(RouteTableId=table)
    ec2.delete_subnet(SubnetId=public)
    ec2.delete_subnet(SubnetId=private)
    ec2.delete_vpc(VpcId=vpc)


def test_security_groups(ec2, vpc, name):
    group = ec2.create_security_group(GroupName=name, Description="jobs", VpcId=vpc)["GroupId"]
    refused("InvalidGroup.Duplicate", ec2.create_security_group, GroupName=name, Description="d", VpcId=vpc)
    web = {"IpProtocol": "tcp", "FromPort": 443, "ToPort": 443, "IpRanges": [{"CidrIp": "10.0.0.0/8"}]}
    own = {"IpProtocol": "-1", "UserIdGroupPairs": [{"GroupId": group}]}
    rules = ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=[web, own])["SecurityGroupRules"]
    assert len(rules) == 2 and all(rule["SecurityGroupRuleId"].startswith("sgr-") for rule in rules)
    refused("InvalidPermission.Duplicate", ec2.authorize_security_group_ingress, GroupId=group, IpPermissions=[web])
    shown = ec2.describe_security_groups(GroupIds=[group])["SecurityGroups"][0]
    assert {p["IpProtocol"]: p.get("FromPort") for p in shown["IpPermissions"]} == {"tcp": 443, "-1": None}
    assert shown["IpPermissionsEgress"][0]["IpRanges"] == [{"CidrIp": "0.0.0.0/0"}]
    filters = [{"Name": "group-id", "Values": [group]}]
    pages = ec2.get_paginator("describe_security_group_rules").paginate(
        Filters=filters, PaginationConfig={"PageSize": 5})
    assert sum(len(page["SecurityGroupRules"]) for page in pages) == 3
    ec2.revoke_security_group_ingress(GroupId=group, IpPermissions=[web])
    refused("InvalidPermission.NotFound", ec2.revoke_security_group_ingress, GroupId=group, IpPermissions=[web])
    ec2.revoke_security_group_egress(GroupId=group, IpPermissions=shown["IpPermissionsEgress"])
    ec2.delete_security_group(GroupId=group)
    refused("InvalidGroup.NotFound", ec2.describe_security_groups, GroupIds=[group])


def test_endpoints(ec2, vpc):
    home = subnet(ec2, vpc)
    table = ec2.create_route_table(VpcId=vpc)["RouteTable"]["RouteTableId"]
    gateway = ec2.create_vpc_endpoint(
        VpcId=vpc, ServiceName=f"com.amazonaws.{REGION}.s3", RouteTableIds=[table])["VpcEndpoint"]
    assert gateway["VpcEndpointType"] == "Gateway"
    routes = ec2.describe_route_tables(RouteTableIds=[table])["RouteTables"][0]["Routes"]
    assert [r["GatewayId"] for r in routes if "DestinationPrefixListId" in r] == [gateway["VpcEndpointId"]]
    interface = ec2.create_vpc_endpoint(
        VpcId=vpc, VpcEndpointType="Interface", ServiceName=f"com.amazonaws.{REGION}.ecr.api",
        SubnetIds=[home], PrivateDnsEnabled=False,
    )["VpcEndpoint"]
    assert len(interface["NetworkInterfaceIds"]) == 1
    refused("InvalidServiceName", ec2.create_vpc_endpoint, VpcId=vpc, ServiceName="com.amazonaws.mars.s3")
    listed = ec2.describe_vpc_endpoints(Filters=[{"Name": "vpc-id", "Values": [vpc]}])["VpcEndpoints"]
    assert len(listed) == 2
    gone = ec2.delete_vpc_endpoints(
        VpcEndpointIds=[gateway["VpcEndpointId"], interface["VpcEndpointId"], "vpce-0"])["Unsuccessful"]
    assert [item["ResourceId"] for item in gone] == ["vpce-0"]
    ec2.delete_subnet(SubnetId=home)


def test_tags(ec2, vpc, name):
    ec2.create_tags(Resources=[vpc], Tags=[{"Key": "Name", "Value": name}, {"Key": "x", "Value": ""}])
    found = ec2.describe_tags(Filters=[{"Name": "resource-id", "Values": [vpc]}])["Tags"]
    assert [(t["Key"], t["Value"], t["ResourceType"]) for t in found] == [("Name", name, "vpc"), ("x", "", "vpc")]
    ec2.delete_tags(Resources=[vpc], Tags=[{"Key": "x"}])
    assert ec2.describe_vpcs(VpcIds=[vpc])["Vpcs"][0]["Tags"] == [{"Key": "Name", "Value": name}]
    refused("InvalidID", ec2.create_tags, Resources=["nothing"], Tags=[{"Key": "a", "Value": "b"}])


def test_dry_runs_filters_and_pages(ec2, vpc):
    answer = refused("DryRunOperation", ec2.create_vpc, CidrBlock="10.0.0.0/16", DryRun=True)
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 412
    message = refused("InvalidParameterValue", ec2.describe_vpcs, Filters=[{"Name": "color", "Values": ["red"]}])
    assert message["Error"]["Message"] == "The filter 'color' is invalid"
    for n in range(7):
        subnet(ec2, vpc, f"10.0.{n}.0/24")
    here = [{"Name": "vpc-id", "Values": [vpc]}]
    pages = list(ec2.get_paginator("describe_subnets").paginate(Filters=here, PaginationConfig={"PageSize": 5}))
    assert [len(page["Subnets"]) for page in pages] == [5, 2]
    refused("InvalidNextToken", ec2.describe_subnets, NextToken="?")


def test_bad_input_is_refused(ec2, vpc):
    refused("InvalidVpc.Range", ec2.create_vpc, CidrBlock="10.0.0.0/8")
    refused("InvalidParameterValue", ec2.create_vpc, CidrBlock="ten")
    refused("InvalidSubnet.Range", ec2.create_subnet, VpcId=vpc, CidrBlock="11.0.0.0/24")
    subnet(ec2, vpc)
    refused("InvalidSubnet.Conflict", ec2.create_subnet, VpcId=vpc, CidrBlock="10.0.0.0/25")
    refused("InvalidParameterValue", ec2.create_vpc, CidrBlock="10.0.0.0/16", InstanceTenancy="nowhere")
    message = refused("NotImplemented", ec2.create_vpc, CidrBlock="10.0.0.0/16", AmazonProvidedIpv6CidrBlock=True)
    assert "AmazonProvidedIpv6CidrBlock" in message["Error"]["Message"]
    assert "RunInstances" in refused(
        "NotImplemented", ec2.run_instances, ImageId="ami-1", MinCount=1, MaxCount=1)["Error"]["Message"]


def test_a_network_survives_a_kill(own_server):
    ec2 = own_server.client("ec2")
    vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    home = subnet(ec2, vpc)
    before = ec2.describe_subnets(SubnetIds=[home])["Subnets"]
    own_server.kill()
    own_server.start()
    assert own_server.client("ec2").describe_subnets(SubnetIds=[home])["Subnets"] == before


def test_the_cli_shows_it(server, vpc):
    shown = json.loads(server.cli("ec2", "describe-vpcs", "--vpc-ids", vpc).stdout)
    assert shown["Vpcs"][0]["CidrBlock"] == "10.0.0.0/16"
    made = json.loads(server.cli(
        "ec2", "create-security-group", "--group-name", vpc, "--description", "d", "--vpc-id", vpc).stdout)
    server.cli("ec2", "authorize-security-group-ingress", "--group-id", made["GroupId"],
               "--protocol", "tcp", "--port", "22", "--cidr", "10.0.0.0/8")
    rules = json.loads(server.cli("ec2", "describe-security-groups", "--group-ids", made["GroupId"]).stdout)
    assert rules["SecurityGroups"][0]["IpPermissions"][0]["FromPort"] == 22


def test_network_acls_have_entries_and_subnets(ec2, vpc):
    sub = subnet(ec2, vpc)
    acl = ec2.create_network_acl(VpcId=vpc)["NetworkAcl"]
    assert (acl["IsDefault"], [e["RuleNumber"] for e in acl["Entries"]]) == (False, [32767, 32767])
    entry = dict(NetworkAclId=acl["NetworkAclId"], RuleNumber=100, Egress=False)
    tcp = dict(Protocol="tcp", RuleAction="allow", CidrBlock="0.0.0.0/0", PortRange={"From": 80, "To": 80})
    ec2.create_network_acl_entry(**entry, **tcp)
    refused("NetworkAclEntryAlreadyExists", ec2.create_network_acl_entry, **entry, **tcp)
    refused("MissingParameter", ec2.create_network_acl_entry, **{**entry, "RuleNumber": 101}, Protocol="6", RuleAction="allow", CidrBlock="0.0.0.0/0")
    ec2.replace_network_acl_entry(**entry, **{**tcp, "RuleAction": "deny"})
    described = lambda **how: ec2.describe_network_acls(**how)["NetworkAcls"]
    shown = described(NetworkAclIds=[acl["NetworkAclId"]])[0]["Entries"]
    assert [(e["Protocol"], e["RuleAction"]) for e in shown if e["RuleNumber"] == 100] == [("6", "deny")]
    default = described(Filters=[{"Name": "vpc-id", "Values": [vpc]}, {"Name": "default", "Values": ["true"]}])[0]
    association = next(a for a in default["Associations"] if a["SubnetId"] == sub)["NetworkAclAssociationId"]
    ec2.replace_network_acl_association(AssociationId=association, NetworkAclId=acl["NetworkAclId"])
    moved = described(Filters=[{"Name": "association.subnet-id", "Values": [sub]}])
    assert [a["NetworkAclId"] for a in moved] == [acl["NetworkAclId"]]
    refused("DependencyViolation", ec2.delete_network_acl, NetworkAclId=acl["NetworkAclId"])
    refused("InvalidParameterValue", ec2.delete_network_acl, NetworkAclId=default["NetworkAclId"])
    back = moved[0]["Associations"][0]["NetworkAclAssociationId"]
    ec2.replace_network_acl_association(AssociationId=back, NetworkAclId=default["NetworkAclId"])
    ec2.delete_network_acl_entry(**entry)
    ec2.delete_network_acl(NetworkAclId=acl["NetworkAclId"])
    ec2.delete_subnet(SubnetId=sub)
    ec2.delete_vpc(VpcId=vpc)


def test_launch_templates_have_versions(ec2, name):
    made = ec2.create_launch_template(LaunchTemplateName=name, LaunchTemplateData={"InstanceType": "m5.large", "UserData": "eA=="})["LaunchTemplate"]
    refused("InvalidLaunchTemplateName.AlreadyExistsException", ec2.create_launch_template, LaunchTemplateName=name, LaunchTemplateData={"KeyName": "k"})
    version = ec2.create_launch_template_version(LaunchTemplateName=name, SourceVersion="1", LaunchTemplateData={"InstanceType": "c5.large"})["LaunchTemplateVersion"]
    assert (version["VersionNumber"], version["LaunchTemplateData"]["UserData"]) == (2, "eA==")
    ec2.modify_launch_template(LaunchTemplateId=made["LaunchTemplateId"], DefaultVersion="2")
    shown = ec2.describe_launch_templates(LaunchTemplateNames=[name])["LaunchTemplates"][0]
    assert (shown["DefaultVersionNumber"], shown["LatestVersionNumber"]) == (2, 2)
    listed = ec2.describe_launch_template_versions(LaunchTemplateName=name)["LaunchTemplateVersions"]
    assert [v["VersionNumber"] for v in listed] == [2, 1]
    answer = ec2.delete_launch_template_versions(LaunchTemplateName=name, Versions=["1", "2"])
    assert [v["VersionNumber"] for v in answer["SuccessfullyDeletedLaunchTemplateVersions"]] == [1]
    ec2.delete_launch_template(LaunchTemplateName=name)
    refused("InvalidLaunchTemplateId.NotFound", ec2.describe_launch_templates, LaunchTemplateIds=[made["LaunchTemplateId"]])


# Regional NAT gateways


def test_a_regional_nat_gateway_is_in_no_subnet(ec2, vpc):
    make = functools.partial(ec2.create_nat_gateway, AvailabilityMode="regional")
    automatic = make(VpcId=vpc)["NatGateway"]
    assert (automatic["AvailabilityMode"], automatic["AutoProvisionZones"]) == ("regional", "enabled")
    assert "SubnetId" not in automatic and automatic["NatGatewayAddresses"] == []
    allocations = [ec2.allocate_address(Domain="vpc")["AllocationId"] for _ in range(2)]
    zones = [{"AvailabilityZone": f"{REGION}{letter}", "AllocationIds": [a]} for letter, a in zip("ab", allocations)]
    nat = make(VpcId=vpc, AvailabilityZoneAddresses=zones)["NatGateway"]
    assert nat["AutoProvisionZones"] == "disabled"
    assert [(a["AvailabilityZone"], a["AllocationId"]) for a in nat["NatGatewayAddresses"]] == [
        (f"{REGION}a", allocations[0]), (f"{REGION}b", allocations[1])]
    assert "AssociationId" in ec2.describe_addresses(AllocationIds=allocations)["Addresses"][0]
    refused("Resource.AlreadyAssociated", make, VpcId=vpc, AvailabilityZoneAddresses=zones)
    refused("MissingParameter", make)
    refused("NotImplemented", make, VpcId=vpc, AllocationId=allocations[0])
    refused("InvalidParameterValue", make, VpcId=vpc, AvailabilityZoneAddresses=[{**zones[0], "AvailabilityZone": "mars-1a"}])
    refused("InvalidParameterCombination", ec2.create_nat_gateway, VpcId=vpc, SubnetId=subnet(ec2, vpc, "10.0.7.0/24"))
    table = ec2.create_route_table(VpcId=vpc)["RouteTable"]["RouteTableId"]
    ec2.create_route(RouteTableId=table, DestinationCidrBlock="0.0.0.0/0", NatGatewayId=nat["NatGatewayId"])
    for gateway in (automatic, nat):
        ec2.delete_nat_gateway(NatGatewayId=gateway["NatGatewayId"])
    assert "AssociationId" not in ec2.describe_addresses(AllocationIds=allocations)["Addresses"][0]
    for allocation in allocations:
        ec2.release_address(AllocationId=allocation)


# Templates

VPC = {"Type": "AWS::EC2::VPC", "Properties": {
    "CidrBlock": "10.0.0.0/16", "EnableDnsHostnames": True, "EnableDnsSupport": True,
}}


def stacked(server, name, resources):
    stacks = Stacks(server)
    stack = stacks.made(name, {"Resources": {"Vpc": VPC, **resources}})
    assert stack["StackStatus"] == "CREATE_COMPLETE", stacks.events(name)
    return stacks, stacks.resources(name)


def changed(stacks, name, resources):
    stacks.client.update_stack(StackName=name, TemplateBody=json.dumps({"Resources": {"Vpc": VPC, **resources}}))
    assert stacks.settled(name)["StackStatus"] == "UPDATE_COMPLETE", stacks.events(name)


def test_a_templates_regional_nat_gateway_changes_its_addresses(server, ec2, name):
    def resources(address):
        zones = [{"AvailabilityZone": f"{REGION}a", "AllocationIds": [{"Fn::GetAtt": [address, "AllocationId"]}]}]
        return {
            "One": {"Type": "AWS::EC2::EIP", "Properties": {}}, "Two": {"Type": "AWS::EC2::EIP", "Properties": {}},
            "Nat": {"Type": "AWS::EC2::NatGateway", "Properties": {
                "AvailabilityMode": "regional", "VpcId": {"Ref": "Vpc"}, "MaxDrainDurationSeconds": 600,
                "AvailabilityZoneAddresses": zones,
            }},
        }

    def addresses():
        nat = ec2.describe_nat_gateways(NatGatewayIds=[made["Nat"]])["NatGateways"][0]
        return [address["PublicIp"] for address in nat["NatGatewayAddresses"]]

    stacks, made = stacked(server, name, resources("One"))
    assert addresses() == [made["One"]]
    changed(stacks, name, resources("Two"))
    assert addresses() == [made["Two"]]
    assert stacks.removed(name)["StackStatus"] == "DELETE_COMPLETE", stacks.events(name)


def test_a_templates_own_egress_takes_the_default_rules_place(server, ec2, name):
    def egress(port):
        rule = {"IpProtocol": "tcp", "FromPort": port, "ToPort": port, "CidrIp": "0.0.0.0/0"} if port else {
            "IpProtocol": "-1", "CidrIp": "0.0.0.0/0", "Description": "everything"}
        return {"Type": "AWS::EC2::SecurityGroupEgress", "Properties": {"GroupId": {"Fn::GetAtt": ["Group", "GroupId"]}, **rule}}

    def rules():
        group = ec2.describe_security_groups(GroupIds=[made["Group"]])["SecurityGroups"][0]
        return sorted(rule.get("FromPort", -1) for rule in group["IpPermissionsEgress"])

    group = {"Type": "AWS::EC2::SecurityGroup", "Properties": {"GroupDescription": "d", "VpcId": {"Ref": "Vpc"}}}
    stacks, made = stacked(server, name, {"Group": group, "All": egress(None)})
    assert rules() == [-1]
    changed(stacks, name, {"Group": group, "All": egress(None), "Web": egress(443)})
    assert rules() == [-1, 443]
    changed(stacks, name, {"Group": group, "Web": egress(443)})
    assert rules() == [443]
    assert stacks.removed(name)["StackStatus"] == "DELETE_COMPLETE", stacks.events(name)


def test_a_templates_endpoint_keeps_its_dns_options(server, ec2, name):
    def endpoint(inbound):
        return {"Endpoint": {"Type": "AWS::EC2::VPCEndpoint", "Properties": {
            "ServiceName": f"com.amazonaws.{REGION}.s3", "VpcId": {"Ref": "Vpc"}, "VpcEndpointType": "Interface",
            "PrivateDnsEnabled": True, "DnsOptions": {"PrivateDnsOnlyForInboundResolverEndpoint": inbound},
        }}}

    def options():
        return ec2.describe_vpc_endpoints(VpcEndpointIds=[made["Endpoint"]])["VpcEndpoints"][0]["DnsOptions"]

    stacks, made = stacked(server, name, endpoint("OnlyInboundResolver"))
    assert options() == {"DnsRecordIpType": "ipv4", "PrivateDnsOnlyForInboundResolverEndpoint": True}
    changed(stacks, name, endpoint("AllResolvers"))
    assert options() == {"DnsRecordIpType": "ipv4", "PrivateDnsOnlyForInboundResolverEndpoint": False}
    assert stacks.removed(name)["StackStatus"] == "DELETE_COMPLETE", stacks.events(name)


def test_a_templates_subnet_names_its_hosts(server, ec2, name):
    def subnet(**more):
        return {"Subnet": {"Type": "AWS::EC2::Subnet", "Properties": {
            "VpcId": {"Ref": "Vpc"}, "CidrBlock": "10.0.0.0/24", "AssignIpv6AddressOnCreation": False, **more,
        }}}

    def names():
        shown = ec2.describe_subnets(SubnetIds=[made["Subnet"]])["Subnets"][0]["PrivateDnsNameOptionsOnLaunch"]
        return shown["HostnameType"], shown["EnableResourceNameDnsARecord"]

    options = {"HostnameType": "resource-name", "EnableResourceNameDnsARecord": True}
    stacks, made = stacked(server, name, subnet(PrivateDnsNameOptionsOnLaunch=options))
    assert names() == ("resource-name", True)
    changed(stacks, name, subnet())
    assert names() == ("ip-name", False)
    assert stacks.removed(name)["StackStatus"] == "DELETE_COMPLETE", stacks.events(name)
