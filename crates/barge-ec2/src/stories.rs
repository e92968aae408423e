//! Stories of VPCs and what is in them: what depends on what, and in which words it is refused.

use crate::network::Network;
use crate::network_acls::NetworkAclRecord;
use crate::network_interfaces::InterfaceRecord;
use crate::route_tables::RouteTableRecord;
use crate::security_group_rules::RuleRecord;
use crate::security_groups::GroupRecord;
use crate::subnets::SubnetRecord;
use crate::testing::{Bench, with_network};
use crate::vpcs::VpcRecord;
use crate::{
    addresses, internet_gateways, nat_gateways, route_tables, routes, rule_changes, security_groups, subnets, tags,
    vpc_endpoints, vpcs,
};
use barge_core::AwsError;
use barge_wire::ec2::*;
use proptest::prelude::*;

fn vpc(net: &Network<'_>, cidr: &str) -> Result<String, AwsError> {
    let input = CreateVpcRequest { cidr_block: Some(cidr.to_owned()), ..Default::default() };
    Ok(vpcs::create(net, input)?.vpc.unwrap().vpc_id.unwrap())
}

fn subnet(net: &Network<'_>, vpc: &str, cidr: &str, zone: &str) -> Result<String, AwsError> {
    let input = CreateSubnetRequest {
        vpc_id: vpc.to_owned(),
        cidr_block: Some(cidr.to_owned()),
        availability_zone: Some(zone.to_owned()),
        ..Default::default()
    };
    Ok(subnets::create(net, input)?.subnet.unwrap().subnet_id.unwrap())
}

fn gateway(net: &Network<'_>, vpc: &str) -> String {
    let id = internet_gateways::make(net, &[]).unwrap().id;
    attach(net, &id, vpc).unwrap();
    id
}

fn attach(net: &Network<'_>, gateway: &str, vpc: &str) -> Result<(), AwsError> {
    let input =
        AttachInternetGatewayRequest { internet_gateway_id: gateway.to_owned(), vpc_id: vpc.to_owned(), dry_run: None };
    internet_gateways::attach(net, input)
}

fn nat(net: &Network<'_>, subnet: &str, allocation: &str, token: Option<&str>) -> Result<NatGateway, AwsError> {
    let input = CreateNatGatewayRequest {
        subnet_id: Some(subnet.to_owned()),
        allocation_id: Some(allocation.to_owned()),
        client_token: token.map(str::to_owned),
        ..Default::default()
    };
    Ok(nat_gateways::create(net, input)?.nat_gateway.unwrap())
}

fn code<T: std::fmt::Debug>(result: Result<T, AwsError>) -> String {
    result.map_or_else(|error| error.code.into_owned(), |value| format!("{value:?}"))
}

fn delete_vpc(net: &Network<'_>, id: &str) -> Result<(), AwsError> {
    vpcs::delete(net, DeleteVpcRequest { vpc_id: id.to_owned(), dry_run: None })
}

#[test]
fn a_vpc_comes_with_its_table_group_and_acl_and_takes_them_along() {
    with_network(|net| {
        let id = vpc(net, "10.0.0.0/16").unwrap();
        let counts = || {
            (
                net.select::<RouteTableRecord>(|table| table.vpc == id).unwrap().len(),
                net.select::<GroupRecord>(|group| group.vpc == id).unwrap().len(),
                net.select::<NetworkAclRecord>(|acl| acl.vpc == id).unwrap().len(),
            )
        };
        assert_eq!(counts(), (1, 1, 1));
        let rules = net.list::<RuleRecord>().unwrap().len();
        delete_vpc(net, &id).unwrap();
        assert_eq!(counts(), (0, 0, 0));
        assert_eq!(net.list::<RuleRecord>().unwrap().len(), rules - 2);
        let error = delete_vpc(net, &id).unwrap_err();
        assert_eq!(error.message, format!("The vpc ID '{id}' does not exist"));
    });
}

#[test]
fn blocks_that_a_vpc_or_subnet_can_not_have() {
    with_network(|net| {
        let id = vpc(net, "10.0.0.0/16").unwrap();
        for (cidr, expected) in [("10.0.0.0/8", "InvalidVpc.Range"), ("10.0.0.0", "InvalidParameterValue")] {
            assert_eq!(code(vpc(net, cidr)), expected, "{cidr}");
        }
        subnet(net, &id, "10.0.1.0/24", "us-east-1a").unwrap();
        for (cidr, zone, expected) in [
            ("10.0.1.128/25", "us-east-1b", "InvalidSubnet.Conflict"),
            ("10.0.0.0/16", "us-east-1a", "InvalidSubnet.Conflict"),
            ("10.1.0.0/24", "us-east-1a", "InvalidSubnet.Range"),
            ("10.0.2.0/29", "us-east-1a", "InvalidSubnet.Range"),
            ("10.0.2.0/24", "us-west-2a", "InvalidParameterValue"),
        ] {
            assert_eq!(code(subnet(net, &id, cidr, zone)), expected, "{cidr} {zone}");
        }
        assert_eq!(code(subnet(net, "vpc-none", "10.0.2.0/24", "us-east-1a")), "InvalidVpcID.NotFound");
    });
}

#[test]
fn a_nat_gateway_takes_an_address_and_gives_it_back() {
    with_network(|net| {
        let id = vpc(net, "10.0.0.0/16").unwrap();
        let public = subnet(net, &id, "10.0.1.0/28", "us-east-1a").unwrap();
        let address = addresses::make(net, &[]).unwrap();
        let made = nat(net, &public, &address.id, None).unwrap();
        assert_eq!(made.state, Some(NatGatewayState::Available));
        let shown = &made.nat_gateway_addresses.as_ref().unwrap()[0];
        assert_eq!(shown.private_ip.as_deref(), Some("10.0.1.4"));
        assert_eq!(shown.public_ip, Some(address.public_ip.to_string()));
        let free = || {
            let input = DescribeSubnetsRequest { subnet_ids: Some(vec![public.clone()]), ..Default::default() };
            subnets::describe_all(net, input).unwrap().subnets.unwrap()[0].available_ip_address_count
        };
        assert_eq!(free(), Some(10));
        assert_eq!(code(nat(net, &public, &address.id, None)), "Resource.AlreadyAssociated");
        let release = || {
            let input = ReleaseAddressRequest { allocation_id: Some(address.id.clone()), ..Default::default() };
            addresses::release(net, input)
        };
        assert_eq!(code(release()), "InvalidIPAddress.InUse");
        let delete_subnet = || subnets::delete(net, DeleteSubnetRequest { subnet_id: public.clone(), dry_run: None });
        assert_eq!(code(delete_subnet()), "DependencyViolation");

        let nat_id = made.nat_gateway_id.unwrap();
        nat_gateways::delete(net, DeleteNatGatewayRequest { nat_gateway_id: nat_id.clone(), dry_run: None }).unwrap();
        let input = DescribeNatGatewaysRequest { nat_gateway_ids: Some(vec![nat_id]), ..Default::default() };
        let shown = nat_gateways::describe_all(net, input).unwrap().nat_gateways.unwrap();
        assert_eq!(shown[0].state, Some(NatGatewayState::Deleted));
        assert_eq!(free(), Some(11));
        release().unwrap();
        delete_subnet().unwrap();
        delete_vpc(net, &id).unwrap();
    });
}

#[test]
fn a_client_token_makes_one_nat_gateway() {
    with_network(|net| {
        let id = vpc(net, "10.0.0.0/16").unwrap();
        let public = subnet(net, &id, "10.0.1.0/24", "us-east-1a").unwrap();
        let (first, other) = (addresses::make(net, &[]).unwrap().id, addresses::make(net, &[]).unwrap().id);
        let made = nat(net, &public, &first, Some("t")).unwrap();
        assert_eq!(nat(net, &public, &first, Some("t")).unwrap().nat_gateway_id, made.nat_gateway_id);
        assert_eq!(code(nat(net, &public, &other, Some("t"))), "IdempotentParameterMismatch");
    });
}

#[test]
fn a_gateway_is_attached_to_one_vpc_and_a_vpc_to_one_gateway() {
    with_network(|net| {
        let (one, two) = (vpc(net, "10.0.0.0/16").unwrap(), vpc(net, "10.1.0.0/16").unwrap());
        let first = gateway(net, &one);
        assert_eq!(code(attach(net, &first, &two)), "Resource.AlreadyAssociated");
        let second = internet_gateways::make(net, &[]).unwrap().id;
        assert_eq!(code(attach(net, &second, &one)), "InvalidParameterValue");
        let delete = |id: &str| {
            let input = DeleteInternetGatewayRequest { internet_gateway_id: id.to_owned(), dry_run: None };
            internet_gateways::delete(net, input)
        };
        assert_eq!(code(delete(&first)), "DependencyViolation");
        assert_eq!(code(delete_vpc(net, &one)), "DependencyViolation");
        let detach = |gateway: &str, vpc: &str| {
            let input = DetachInternetGatewayRequest {
                internet_gateway_id: gateway.to_owned(),
                vpc_id: vpc.to_owned(),
                dry_run: None,
            };
            internet_gateways::detach(net, input)
        };
        assert_eq!(code(detach(&first, &two)), "Gateway.NotAttached");
        let public = subnet(net, &one, "10.0.0.0/24", "us-east-1a").unwrap();
        let address = addresses::make(net, &[]).unwrap().id;
        nat(net, &public, &address, None).unwrap();
        assert_eq!(code(detach(&first, &one)), "DependencyViolation");
    });
}

#[test]
fn routes_come_go_and_turn_into_black_holes() {
    with_network(|net| {
        let id = vpc(net, "10.0.0.0/16").unwrap();
        let table = route_tables::make(net, &id, &[]).unwrap().id;
        let igw = gateway(net, &id);
        let create = |destination: &str, target: &str| {
            let input = CreateRouteRequest {
                route_table_id: table.clone(),
                destination_cidr_block: Some(destination.to_owned()),
                gateway_id: Some(target.to_owned()),
                ..Default::default()
            };
            routes::create(net, input)
        };
        let elsewhere = gateway(net, &vpc(net, "10.1.0.0/16").unwrap());
        for (destination, target, expected) in [
            ("0.0.0.0/0", elsewhere.as_str(), "InvalidParameterValue"),
            ("0.0.0.0/0", "igw-none", "InvalidInternetGatewayID.NotFound"),
            ("0.0.0.0/0", "vgw-1", "NotImplemented"),
            ("10.0.0.0/16", igw.as_str(), "RouteAlreadyExists"),
        ] {
            assert_eq!(code(create(destination, target)), expected, "{destination} {target}");
        }
        create("0.0.0.0/0", &igw).unwrap();
        assert_eq!(code(create("0.0.0.0/0", &igw)), "RouteAlreadyExists");
        let states = || {
            let input = DescribeRouteTablesRequest { route_table_ids: Some(vec![table.clone()]), ..Default::default() };
            let tables = route_tables::describe_all(net, input).unwrap().route_tables.unwrap();
            tables[0].routes.iter().flatten().filter_map(|route| route.state).collect::<Vec<_>>()
        };
        assert_eq!(states(), [RouteState::Active, RouteState::Active]);
        let input = DetachInternetGatewayRequest { internet_gateway_id: igw, vpc_id: id, dry_run: None };
        internet_gateways::detach(net, input).unwrap();
        assert_eq!(states(), [RouteState::Active, RouteState::Blackhole]);
        let delete = |destination: &str| {
            let input = DeleteRouteRequest {
                route_table_id: table.clone(),
                destination_cidr_block: Some(destination.to_owned()),
                ..Default::default()
            };
            routes::delete(net, input)
        };
        delete("0.0.0.0/0").unwrap();
        assert_eq!(code(delete("0.0.0.0/0")), "InvalidRoute.NotFound");
        assert_eq!(code(delete("10.0.0.0/16")), "InvalidParameterValue");
    });
}

#[test]
fn a_subnet_has_one_table() {
    with_network(|net| {
        let id = vpc(net, "10.0.0.0/16").unwrap();
        let home = subnet(net, &id, "10.0.0.0/24", "us-east-1a").unwrap();
        let (one, two) = (route_tables::make(net, &id, &[]).unwrap().id, route_tables::make(net, &id, &[]).unwrap().id);
        let associate = |table: &str| route_tables::make_association(net, table, &home);
        let association = associate(&one).unwrap();
        assert_eq!(associate(&one).unwrap(), association);
        assert_eq!(code(associate(&two)), "Resource.AlreadyAssociated");
        let delete = |table: &str| {
            route_tables::delete(net, DeleteRouteTableRequest { route_table_id: table.to_owned(), dry_run: None })
        };
        assert_eq!(code(delete(&one)), "DependencyViolation");
        let replace = |association: &str, table: &str| {
            let input = ReplaceRouteTableAssociationRequest {
                association_id: association.to_owned(),
                route_table_id: table.to_owned(),
                dry_run: None,
            };
            route_tables::replace_association(net, input).map(|result| result.new_association_id.unwrap())
        };
        let moved = replace(&association, &two).unwrap();
        delete(&one).unwrap();
        let disassociate = |id: &str| {
            let input = DisassociateRouteTableRequest { association_id: id.to_owned(), dry_run: None };
            route_tables::disassociate(net, input)
        };
        assert_eq!(code(disassociate(&association)), "InvalidAssociationID.NotFound");
        disassociate(&moved).unwrap();
        let main = net.select::<RouteTableRecord>(|table| table.vpc == id && table.id != two).unwrap().pop().unwrap();
        let main_association = main.main_association.unwrap();
        assert_eq!(code(disassociate(&main_association)), "InvalidParameterValue");
        replace(&main_association, &two).unwrap();
        assert_eq!(code(delete(&two)), "DependencyViolation");
        delete(&main.id).unwrap();
    });
}

fn group(net: &Network<'_>, vpc: &str, name: &str) -> Result<String, AwsError> {
    let input = CreateSecurityGroupRequest {
        vpc_id: Some(vpc.to_owned()),
        group_name: name.to_owned(),
        description: "d".to_owned(),
        ..Default::default()
    };
    Ok(security_groups::create(net, input)?.group_id.unwrap())
}

fn allow(protocol: &str, ports: Option<(i64, i64)>, cidr: &str) -> IpPermission {
    IpPermission {
        ip_protocol: Some(protocol.to_owned()),
        from_port: ports.map(|(from, _)| from),
        to_port: ports.map(|(_, to)| to),
        ip_ranges: Some(vec![IpRange { cidr_ip: Some(cidr.to_owned()), description: None }]),
        ..Default::default()
    }
}

fn authorize(net: &Network<'_>, group: &str, permission: IpPermission) -> Result<Vec<SecurityGroupRule>, AwsError> {
    let input = AuthorizeSecurityGroupIngressRequest {
        group_id: Some(group.to_owned()),
        ip_permissions: Some(vec![permission]),
        ..Default::default()
    };
    Ok(rule_changes::authorize_ingress(net, input)?.security_group_rules.unwrap())
}

#[test]
fn rules_that_are_taken_and_rules_that_are_not() {
    with_network(|net| {
        let id = vpc(net, "10.0.0.0/16").unwrap();
        let sg = group(net, &id, "web").unwrap();
        assert_eq!(code(group(net, &id, "web")), "InvalidGroup.Duplicate");
        assert_eq!(code(group(net, &id, "sg-1")), "InvalidParameterValue");
        let rules = authorize(net, &sg, allow("6", Some((443, 443)), "10.0.0.9/16")).unwrap();
        assert_eq!(
            (rules[0].ip_protocol.as_deref(), rules[0].cidr_ipv4.as_deref()),
            (Some("tcp"), Some("10.0.0.0/16"))
        );
        let error = authorize(net, &sg, allow("tcp", Some((443, 443)), "10.0.0.0/16")).unwrap_err();
        assert_eq!(error.code, "InvalidPermission.Duplicate");
        assert_eq!(
            error.message,
            "the specified rule \"peer: 10.0.0.0/16, TCP, from port: 443, to port: 443, ALLOW\" already exists"
        );
        for (permission, expected) in [
            (allow("tcp", None, "0.0.0.0/0"), "InvalidParameterValue"),
            (allow("tcp", Some((9, 1)), "0.0.0.0/0"), "InvalidParameterValue"),
            (allow("tcp", Some((1, 65536)), "0.0.0.0/0"), "InvalidParameterValue"),
            (allow("nonsense", None, "0.0.0.0/0"), "InvalidParameterValue"),
            (allow("-1", None, "anywhere"), "InvalidParameterValue"),
            (IpPermission { ip_ranges: None, ..allow("-1", None, "") }, "MissingParameter"),
        ] {
            assert_eq!(code(authorize(net, &sg, permission.clone())), expected, "{permission:?}");
        }
    });
}

#[test]
fn revoking_what_is_not_there_fails_except_in_the_default_vpc() {
    with_network(|net| {
        let own = vpc(net, "10.0.0.0/16").unwrap();
        let default = vpcs::default(net).unwrap().unwrap().id;
        let revoke = |group: &str| {
            let input = RevokeSecurityGroupIngressRequest {
                group_id: Some(group.to_owned()),
                ip_permissions: Some(vec![allow("tcp", Some((22, 22)), "0.0.0.0/0")]),
                ..Default::default()
            };
            rule_changes::revoke_ingress(net, input)
        };
        let (strict, lenient) = (group(net, &own, "a").unwrap(), group(net, &default, "a").unwrap());
        assert_eq!(code(revoke(&strict)), "InvalidPermission.NotFound");
        assert_eq!(revoke(&lenient).unwrap().unknown_ip_permissions.unwrap().len(), 1);
        authorize(net, &strict, allow("tcp", Some((22, 22)), "0.0.0.0/0")).unwrap();
        assert_eq!(revoke(&strict).unwrap().revoked_security_group_rules.unwrap().len(), 1);
    });
}

#[test]
fn a_group_that_others_name_stays() {
    with_network(|net| {
        let id = vpc(net, "10.0.0.0/16").unwrap();
        let (one, two) = (group(net, &id, "one").unwrap(), group(net, &id, "two").unwrap());
        let from_two = IpPermission {
            ip_ranges: None,
            user_id_group_pairs: Some(vec![UserIdGroupPair { group_id: Some(two.clone()), ..Default::default() }]),
            ..allow("-1", None, "")
        };
        authorize(net, &one, from_two).unwrap();
        let delete = |group: &str| {
            let input = DeleteSecurityGroupRequest { group_id: Some(group.to_owned()), ..Default::default() };
            security_groups::delete(net, input)
        };
        assert_eq!(code(delete(&two)), "DependencyViolation");
        delete(&one).unwrap();
        delete(&two).unwrap();
        let default = net.select::<GroupRecord>(|group| group.vpc == id).unwrap().pop().unwrap().id;
        assert_eq!(code(delete(&default)), "CannotDelete");
    });
}

fn endpoint(net: &Network<'_>, input: CreateVpcEndpointRequest) -> Result<VpcEndpoint, AwsError> {
    Ok(vpc_endpoints::create(net, input)?.vpc_endpoint.unwrap())
}

#[test]
fn a_gateway_endpoint_brings_a_route() {
    with_network(|net| {
        let id = vpc(net, "10.0.0.0/16").unwrap();
        let table = route_tables::make(net, &id, &[]).unwrap().id;
        let input = |service: &str| CreateVpcEndpointRequest {
            vpc_id: id.clone(),
            service_name: Some(format!("com.amazonaws.us-east-1.{service}")),
            route_table_ids: Some(vec![table.clone()]),
            ..Default::default()
        };
        let made = endpoint(net, input("s3")).unwrap();
        let routes = || {
            let filter = Filter {
                name: Some("route.gateway-id".to_owned()),
                values: Some(vec![made.vpc_endpoint_id.clone().unwrap()]),
            };
            let input = DescribeRouteTablesRequest { filters: Some(vec![filter]), ..Default::default() };
            route_tables::describe_all(net, input).unwrap().route_tables.unwrap().len()
        };
        assert_eq!(routes(), 1);
        assert_eq!(code(endpoint(net, input("s3"))), "RouteAlreadyExists");
        assert_eq!(code(endpoint(net, input("ecr.api"))), "InvalidParameter");
        assert_eq!(code(endpoint(net, input("Nothing"))), "InvalidServiceName");
        assert_eq!(code(delete_vpc(net, &id)), "DependencyViolation");
        let ids = vec![made.vpc_endpoint_id.clone().unwrap(), "vpce-none".to_owned()];
        let input = DeleteVpcEndpointsRequest { vpc_endpoint_ids: ids, dry_run: None };
        let unsuccessful = vpc_endpoints::delete(net, input).unwrap().unsuccessful.unwrap();
        assert_eq!(unsuccessful[0].resource_id.as_deref(), Some("vpce-none"));
        assert_eq!(routes(), 0);
    });
}

#[test]
fn an_interface_endpoint_has_an_interface_in_each_subnet() {
    with_network(|net| {
        let id = vpc(net, "10.0.0.0/16").unwrap();
        let (a, b) = (
            subnet(net, &id, "10.0.0.0/24", "us-east-1a").unwrap(),
            subnet(net, &id, "10.0.1.0/24", "us-east-1b").unwrap(),
        );
        let twin = subnet(net, &id, "10.0.2.0/24", "us-east-1a").unwrap();
        let input = |subnets: &[&String], private: bool| CreateVpcEndpointRequest {
            vpc_id: id.clone(),
            service_name: Some("com.amazonaws.us-east-1.ecr.dkr".to_owned()),
            vpc_endpoint_type: Some(VpcEndpointType::Interface),
            subnet_ids: Some(subnets.iter().map(ToString::to_string).collect()),
            private_dns_enabled: Some(private),
            ..Default::default()
        };
        assert_eq!(code(endpoint(net, input(&[&a, &twin], false))), "DuplicateSubnetsInSameZone");
        assert_eq!(code(endpoint(net, input(&[&a, &b], true))), "InvalidParameter");
        let hostnames = ModifyVpcAttributeRequest {
            vpc_id: id.clone(),
            enable_dns_hostnames: Some(AttributeBooleanValue { value: Some(true) }),
            ..Default::default()
        };
        vpcs::modify_attribute(net, hostnames).unwrap();
        let before = net.list::<InterfaceRecord>().unwrap().len();
        let made = endpoint(net, input(&[&a, &b], true)).unwrap();
        assert_eq!(made.network_interface_ids.as_ref().map(Vec::len), Some(2));
        assert_eq!(made.groups.unwrap()[0].group_name.as_deref(), Some("default"));
        assert_eq!(made.dns_entries.unwrap().len(), 2);
        assert_eq!(code(endpoint(net, input(&[], true))), "InvalidParameter");
        let modify = ModifyVpcEndpointRequest {
            vpc_endpoint_id: made.vpc_endpoint_id.clone().unwrap(),
            remove_subnet_ids: Some(vec![b]),
            ..Default::default()
        };
        vpc_endpoints::modify(net, modify).unwrap();
        assert_eq!(net.list::<InterfaceRecord>().unwrap().len(), before + 1);
    });
}

#[test]
fn tags_are_put_found_and_taken_away() {
    with_network(|net| {
        let id = vpc(net, "10.0.0.0/16").unwrap();
        let tag = |key: &str, value: Option<&str>| Tag { key: Some(key.to_owned()), value: value.map(str::to_owned) };
        let create = |resource: &str, key: &str| {
            let input = CreateTagsRequest {
                resources: vec![resource.to_owned()],
                tags: vec![tag(key, Some("v"))],
                dry_run: None,
            };
            tags::create(net, input)
        };
        create(&id, "k").unwrap();
        assert_eq!(code(create("vpc-none", "k")), "InvalidVpcID.NotFound");
        assert_eq!(code(create("nonsense", "k")), "InvalidID");
        assert_eq!(code(create(&id, "aws:k")), "InvalidParameterValue");
        let found = |name: &str, value: &str| {
            let filter = Filter { name: Some(name.to_owned()), values: Some(vec![value.to_owned()]) };
            let input = DescribeTagsRequest { filters: Some(vec![filter]), ..Default::default() };
            tags::describe(net, input).map(|result| result.tags.unwrap().len())
        };
        assert_eq!(found("resource-id", &id), Ok(1));
        assert_eq!(found("tag:k", "v"), Ok(1));
        assert_eq!(found("resource-type", "subnet"), Ok(0));
        assert_eq!(code(found("color", "v")), "InvalidParameterValue");
        let delete = |value: Option<&str>| {
            let input =
                DeleteTagsRequest { resources: vec![id.clone()], tags: Some(vec![tag("k", value)]), dry_run: None };
            tags::delete(net, input).unwrap();
        };
        delete(Some("other"));
        assert_eq!(found("key", "k"), Ok(1));
        delete(None);
        assert_eq!(found("key", "k"), Ok(0));
    });
}

#[tokio::test]
async fn the_default_vpc_is_there_from_the_start_and_stays_deleted() {
    let bench = Bench::new();
    let filter = Filter { name: Some("is-default".to_owned()), values: Some(vec!["true".to_owned()]) };
    let input = DescribeVpcsRequest { filters: Some(vec![filter]), ..Default::default() };
    let found = bench.ec2.describe_vpcs(&bench.cx, input.clone()).await.unwrap().vpcs.unwrap();
    assert_eq!(found[0].cidr_block.as_deref(), Some("172.31.0.0/16"));
    let id = found[0].vpc_id.clone().unwrap();
    let subnets = bench.ec2.describe_subnets(&bench.cx, DescribeSubnetsRequest::default()).await.unwrap();
    for subnet in subnets.subnets.unwrap() {
        let input = DeleteSubnetRequest { subnet_id: subnet.subnet_id.unwrap(), dry_run: None };
        bench.ec2.delete_subnet(&bench.cx, input).await.unwrap();
    }
    let gateways =
        bench.ec2.describe_internet_gateways(&bench.cx, DescribeInternetGatewaysRequest::default()).await.unwrap();
    let gateway = gateways.internet_gateways.unwrap()[0].internet_gateway_id.clone().unwrap();
    let input = DetachInternetGatewayRequest { internet_gateway_id: gateway, vpc_id: id.clone(), dry_run: None };
    bench.ec2.detach_internet_gateway(&bench.cx, input).await.unwrap();
    bench.ec2.delete_vpc(&bench.cx, DeleteVpcRequest { vpc_id: id, dry_run: None }).await.unwrap();
    let describe = DescribeVpcsRequest::default;
    assert_eq!(bench.reopen().describe_vpcs(&bench.cx, describe()).await.unwrap().vpcs.unwrap(), []);
    bench.ec2.create_default_vpc(&bench.cx, CreateDefaultVpcRequest { dry_run: None }).await.unwrap();
    assert_eq!(bench.ec2.describe_vpcs(&bench.cx, describe()).await.unwrap().vpcs.unwrap().len(), 1);
}

#[tokio::test]
async fn a_failed_creation_leaves_nothing() {
    let bench = Bench::new();
    let cidr = |block: &str| CreateVpcRequest { cidr_block: Some(block.to_owned()), ..Default::default() };
    let id = bench.ec2.create_vpc(&bench.cx, cidr("10.0.0.0/16")).await.unwrap().vpc.unwrap().vpc_id.unwrap();
    let input = CreateVpcEndpointRequest {
        vpc_id: id,
        service_name: Some("com.amazonaws.us-east-1.logs".to_owned()),
        vpc_endpoint_type: Some(VpcEndpointType::Interface),
        subnet_ids: Some(vec!["subnet-none".to_owned()]),
        ..Default::default()
    };
    let error = bench.ec2.create_vpc_endpoint(&bench.cx, input).await.unwrap_err();
    assert!(error.is("InvalidSubnetID.NotFound"), "{error}");
    let left = bench.ec2.describe_network_interfaces(&bench.cx, Default::default()).await.unwrap();
    assert_eq!(left.network_interfaces.unwrap(), []);
}

#[derive(Clone, Debug)]
enum Step {
    Vpc(u8),
    Subnet(usize, u8, u8),
    Associate(usize, usize),
    Table(usize),
    DeleteVpc(usize),
    DeleteSubnet(usize),
    DeleteTable(usize),
}

fn step() -> impl Strategy<Value = Step> {
    let at = || 0usize..4;
    prop_oneof![
        (0u8..3).prop_map(Step::Vpc),
        (at(), 0u8..4, 20u8..26).prop_map(|(vpc, third, length)| Step::Subnet(vpc, third, length)),
        (at(), at()).prop_map(|(table, subnet)| Step::Associate(table, subnet)),
        at().prop_map(Step::Table),
        at().prop_map(Step::DeleteVpc),
        at().prop_map(Step::DeleteSubnet),
        at().prop_map(Step::DeleteTable),
    ]
}

fn pick(ids: &[String], at: usize) -> String {
    ids.get(at).cloned().unwrap_or_else(|| "none-1".to_owned())
}

fn take(net: &Network<'_>, step: &Step) {
    let vpcs: Vec<_> = net.list::<VpcRecord>().unwrap().into_iter().map(|vpc| vpc.id).collect();
    let all_subnets: Vec<_> = net.list::<SubnetRecord>().unwrap().into_iter().map(|subnet| subnet.id).collect();
    let tables: Vec<_> = net.list::<RouteTableRecord>().unwrap().into_iter().map(|table| table.id).collect();
    // Refusals are part of the story: what counts is what is left afterwards.
    let _ = match step {
        Step::Vpc(second) => vpc(net, &format!("10.{second}.0.0/16")).map(drop),
        Step::Subnet(at, third, length) => {
            subnet(net, &pick(&vpcs, *at), &format!("10.1.{third}.0/{length}"), "us-east-1a").map(drop)
        }
        Step::Associate(table, subnet) => {
            route_tables::make_association(net, &pick(&tables, *table), &pick(&all_subnets, *subnet)).map(drop)
        }
        Step::Table(at) => route_tables::make(net, &pick(&vpcs, *at), &[]).map(drop),
        Step::DeleteVpc(at) => delete_vpc(net, &pick(&vpcs, *at)),
        Step::DeleteSubnet(at) => {
            subnets::delete(net, DeleteSubnetRequest { subnet_id: pick(&all_subnets, *at), dry_run: None })
        }
        Step::DeleteTable(at) => {
            route_tables::delete(net, DeleteRouteTableRequest { route_table_id: pick(&tables, *at), dry_run: None })
        }
    };
}

fn check(net: &Network<'_>) {
    let vpcs = net.list::<VpcRecord>().unwrap();
    let subnets = net.list::<SubnetRecord>().unwrap();
    let tables = net.list::<RouteTableRecord>().unwrap();
    for vpc in &vpcs {
        let mains = tables.iter().filter(|table| table.vpc == vpc.id && table.main_association.is_some()).count();
        assert_eq!(mains, 1, "main tables of {}", vpc.id);
    }
    for (at, subnet) in subnets.iter().enumerate() {
        let vpc = vpcs.iter().find(|vpc| vpc.id == subnet.vpc).expect("a subnet is in a VPC");
        assert!(vpc.cidr.contains(subnet.cidr));
        let overlapping = |other: &SubnetRecord| other.vpc == subnet.vpc && other.cidr.overlaps(subnet.cidr);
        assert!(!subnets[at + 1..].iter().any(overlapping), "{} overlaps another", subnet.id);
        let associations = tables.iter().flat_map(|table| &table.associations);
        assert!(associations.filter(|association| association.subnet == subnet.id).count() <= 1);
    }
    for table in &tables {
        assert!(vpcs.iter().any(|vpc| vpc.id == table.vpc), "{} has no VPC", table.id);
        for association in &table.associations {
            let home = subnets.iter().find(|subnet| subnet.id == association.subnet).expect("an associated subnet");
            assert_eq!(home.vpc, table.vpc);
        }
    }
    for group in net.list::<GroupRecord>().unwrap() {
        assert!(vpcs.iter().any(|vpc| vpc.id == group.vpc), "{} has no VPC", group.id);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn nothing_is_ever_orphaned_or_overlaps(steps in proptest::collection::vec(step(), 0..40)) {
        with_network(|net| {
            for step in &steps {
                take(net, step);
                check(net);
            }
        });
    }
}
