//! VPC endpoints: gateway endpoints, which bring routes to route tables, and interface endpoints, which have a network
//! interface in each of their subnets.

use crate::describe::{Described, describe, question, show};
use crate::endpoint_dns::DnsChoice;
use crate::filters::{Field, text};
use crate::kind::Kind;
use crate::nat_gateways::{client_seed, mismatch};
use crate::network::{Network, Record};
use crate::network_interfaces::InterfaceRecord;
use crate::route_tables::RouteTableRecord;
use crate::security_groups::GroupRecord;
use crate::subnets::SubnetRecord;
use crate::vpcs::VpcRecord;
use crate::{errors, policy, tags};
use barge_core::ids::SeededIds;
use barge_core::{AwsError, IdSource as _, Timestamp};
use barge_wire::ec2::{
    CreateVpcEndpointRequest, CreateVpcEndpointResult, DeleteVpcEndpointsRequest, DeleteVpcEndpointsResult,
    DescribeVpcEndpointsRequest, DescribeVpcEndpointsResult, DnsEntry, IpAddressType, ModifyVpcEndpointRequest,
    ModifyVpcEndpointResult, NetworkInterfaceType, Route, RouteOrigin, RouteState, SecurityGroupIdentifier, State, Tag,
    UnsuccessfulItem, UnsuccessfulItemError, VpcEndpoint, VpcEndpointType,
};
use serde::{Deserialize, Serialize};

/// The services that have gateway endpoints (VPC User Guide, "Gateway endpoints").
const GATEWAY_SERVICES: &[&str] = &["s3", "dynamodb"];

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct EndpointRecord {
    pub(crate) id: String,
    pub(crate) vpc: String,
    pub(crate) endpoint_type: VpcEndpointType,
    /// The last part of the service's name: `s3` of `com.amazonaws.us-east-1.s3`.
    pub(crate) service: String,
    pub(crate) policy: String,
    pub(crate) route_tables: Vec<String>,
    pub(crate) subnets: Vec<String>,
    pub(crate) groups: Vec<String>,
    pub(crate) private_dns: bool,
    #[serde(default)]
    pub(crate) dns: DnsChoice,
    pub(crate) created: Timestamp,
}

impl Record for EndpointRecord {
    const KIND: Kind = Kind::VpcEndpoint;

    fn id(&self) -> &str {
        &self.id
    }
}

impl EndpointRecord {
    fn service_name(&self, net: &Network<'_>) -> String {
        format!("com.amazonaws.{}.{}", net.region(), self.service)
    }

    pub(crate) fn interfaces(&self, net: &Network<'_>) -> Result<Vec<InterfaceRecord>, AwsError> {
        net.select::<InterfaceRecord>(|interface| interface.owner == self.id)
    }

    /// The names under which an interface endpoint would be reached.
    pub(crate) fn dns_entries(&self, net: &Network<'_>) -> Vec<DnsEntry> {
        if self.endpoint_type != VpcEndpointType::Interface {
            return Vec::new();
        }
        let digits = SeededIds::new(self.id.as_bytes());
        let (suffix, zone) = (digits.hex(8), format!("Z{}", digits.upper_alphanumeric(19)));
        let (service, region) = (&self.service, net.region());
        let own = format!("{}-{suffix}.{service}.{region}.vpce.amazonaws.com", self.id);
        let private = self.private_dns.then(|| format!("{service}.{region}.amazonaws.com"));
        let entry = |name: String| DnsEntry { dns_name: Some(name), hosted_zone_id: Some(zone.clone()) };
        std::iter::once(own).chain(private).map(entry).collect()
    }
}

impl Described for EndpointRecord {
    type Shown = VpcEndpoint;

    const FILTERS: &'static [Field<VpcEndpoint>] = &[
        ("ip-address-type", |endpoint| endpoint.ip_address_type.map(|kind| kind.to_string()).into_iter().collect()),
        ("service-name", |endpoint| text(endpoint.service_name.as_ref())),
        ("vpc-endpoint-id", |endpoint| text(endpoint.vpc_endpoint_id.as_ref())),
        // EC2's documentation writes states in lower case here.
        ("vpc-endpoint-state", |endpoint| {
            endpoint.state.map(|state| state.as_str().to_ascii_lowercase()).into_iter().collect()
        }),
        ("vpc-endpoint-type", |endpoint| endpoint.vpc_endpoint_type.map(|kind| kind.to_string()).into_iter().collect()),
        ("vpc-id", |endpoint| text(endpoint.vpc_id.as_ref())),
    ];

    fn show(&self, net: &Network<'_>, tags: Vec<Tag>) -> Result<VpcEndpoint, AwsError> {
        let mut groups = Vec::with_capacity(self.groups.len());
        for id in &self.groups {
            let group = net.get::<GroupRecord>(id)?;
            groups.push(SecurityGroupIdentifier { group_id: Some(group.id), group_name: Some(group.name) });
        }
        Ok(VpcEndpoint {
            vpc_endpoint_id: Some(self.id.clone()),
            vpc_endpoint_type: Some(self.endpoint_type),
            vpc_id: Some(self.vpc.clone()),
            service_name: Some(self.service_name(net)),
            service_region: Some(net.region().to_owned()),
            state: Some(State::Available),
            policy_document: Some(self.policy.clone()),
            route_table_ids: Some(self.route_tables.clone()),
            subnet_ids: Some(self.subnets.clone()),
            groups: Some(groups),
            ip_address_type: Some(IpAddressType::Ipv4),
            dns_options: Some(self.dns.shown(self.endpoint_type)),
            private_dns_enabled: Some(self.private_dns),
            requester_managed: Some(false),
            network_interface_ids: Some(self.interfaces(net)?.into_iter().map(|interface| interface.id).collect()),
            dns_entries: Some(self.dns_entries(net)),
            creation_timestamp: Some(self.created),
            tags: Some(tags),
            owner_id: Some(net.account()),
            ..VpcEndpoint::default()
        })
    }

    fn tags(shown: &VpcEndpoint) -> &[Tag] {
        shown.tags.as_deref().unwrap_or_default()
    }
}

/// The routes that gateway endpoints bring to a table.
pub(crate) fn routes_of(net: &Network<'_>, table: &str) -> Result<Vec<Route>, AwsError> {
    let endpoints = net.select::<EndpointRecord>(|endpoint| endpoint.route_tables.iter().any(|id| id == table))?;
    let route = |endpoint: EndpointRecord| Route {
        destination_prefix_list_id: Some(prefix_list(net.region(), &endpoint.service)),
        gateway_id: Some(endpoint.id),
        origin: Some(RouteOrigin::CreateRoute),
        state: Some(RouteState::Active),
        ..Route::default()
    };
    Ok(endpoints.into_iter().map(route).collect())
}

/// The id of the list of a service's addresses: the same in every account of a region.
fn prefix_list(region: &str, service: &str) -> String {
    format!("pl-{}", SeededIds::new(format!("{region} {service}")).hex(8))
}

pub(crate) fn create(net: &Network<'_>, input: CreateVpcEndpointRequest) -> Result<CreateVpcEndpointResult, AwsError> {
    let tags = tags::specified(input.tag_specifications.clone(), Kind::VpcEndpoint)?;
    let client_token = input.client_token.clone();
    let endpoint = match &client_token {
        Some(token) => {
            let ids = client_seed(net, "CreateVpcEndpoint", token);
            let endpoint = make(&net.with_ids(&ids), &input, &tags)?;
            if endpoint.vpc != input.vpc_id || Some(endpoint.service_name(net)) != input.service_name {
                return Err(mismatch());
            }
            endpoint
        }
        None => make(net, &input, &tags)?,
    };
    Ok(CreateVpcEndpointResult { vpc_endpoint: Some(show(net, &endpoint)?), client_token })
}

/// Makes an endpoint, or gives the one that an earlier try with the same ids made.
pub(crate) fn make(
    net: &Network<'_>,
    input: &CreateVpcEndpointRequest,
    tags: &[Tag],
) -> Result<EndpointRecord, AwsError> {
    check_addressing(input.ip_address_type)?;
    let id = net.mint(Kind::VpcEndpoint);
    if let Some(found) = net.find(&id)? {
        return Ok(found);
    }
    let name = input.service_name.as_ref().ok_or_else(|| errors::missing_parameter("ServiceName"))?;
    let vpc = net.get::<VpcRecord>(&input.vpc_id)?;
    let endpoint_type = input.vpc_endpoint_type.unwrap_or(VpcEndpointType::Gateway);
    let mut endpoint = EndpointRecord {
        vpc: vpc.id.clone(),
        endpoint_type,
        service: service(net, name, endpoint_type)?,
        policy: input.policy_document.clone().map_or_else(|| Ok(policy::FULL_ACCESS.to_owned()), policy::checked)?,
        route_tables: Vec::new(),
        subnets: Vec::new(),
        groups: Vec::new(),
        private_dns: false,
        dns: DnsChoice::default().changed(input.dns_options.as_ref())?,
        created: net.now,
        id,
    };
    let given = |list: &Option<Vec<String>>| list.clone().unwrap_or_default();
    match endpoint_type {
        VpcEndpointType::Gateway => {
            refuse_members(&[
                ("SubnetIds", input.subnet_ids.is_some()),
                ("SecurityGroupIds", input.security_group_ids.is_some()),
                ("PrivateDnsEnabled", input.private_dns_enabled == Some(true)),
            ])?;
            add_tables(net, &mut endpoint, given(&input.route_table_ids))?;
        }
        VpcEndpointType::Interface => {
            refuse_members(&[("RouteTableIds", input.route_table_ids.is_some())])?;
            let mut groups = given(&input.security_group_ids);
            if groups.is_empty() {
                groups.extend(default_group(net, &vpc.id)?);
            }
            add_groups(net, &mut endpoint, groups)?;
            add_subnets(net, &mut endpoint, given(&input.subnet_ids))?;
            set_private_dns(net, &mut endpoint, input.private_dns_enabled.unwrap_or(true))?;
        }
        other => return Err(AwsError::not_implemented("Amazon EC2", &format!("VPC endpoints of type {other}"))),
    }
    net.put(&endpoint)?;
    tags::put(net, &endpoint.id, tags)?;
    Ok(endpoint)
}

fn check_addressing(kind: Option<IpAddressType>) -> Result<(), AwsError> {
    match kind {
        None | Some(IpAddressType::Ipv4) => Ok(()),
        Some(other) => Err(AwsError::not_implemented("Amazon EC2", &format!("IpAddressType {other} of VPC endpoints"))),
    }
}

fn refuse_members(members: &[(&str, bool)]) -> Result<(), AwsError> {
    match members.iter().find(|(_, given)| *given) {
        Some((name, _)) => Err(errors::refused(
            "InvalidParameter",
            format!("The parameter {name} cannot be used with this type of VPC endpoint."),
        )),
        None => Ok(()),
    }
}

/// The service's own part of its name.
fn service(net: &Network<'_>, name: &str, endpoint_type: VpcEndpointType) -> Result<String, AwsError> {
    let legal = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '.';
    let service = name
        .strip_prefix("com.amazonaws.")
        .and_then(|rest| rest.strip_prefix(net.region()))
        .and_then(|rest| rest.strip_prefix('.'))
        .filter(|service| !service.is_empty() && service.chars().all(legal))
        .ok_or_else(|| {
            errors::refused("InvalidServiceName", format!("The Vpc Endpoint Service '{name}' does not exist"))
        })?;
    if endpoint_type == VpcEndpointType::Gateway && !GATEWAY_SERVICES.contains(&service) {
        return Err(errors::refused(
            "InvalidParameter",
            "Endpoint type (Gateway) does not match available service types ([Interface]).",
        ));
    }
    Ok(service.to_owned())
}

fn default_group(net: &Network<'_>, vpc: &str) -> Result<Option<String>, AwsError> {
    let groups = net.select::<GroupRecord>(|group| group.vpc == vpc && group.is_default())?;
    Ok(groups.into_iter().next().map(|group| group.id))
}

fn add_tables(net: &Network<'_>, endpoint: &mut EndpointRecord, tables: Vec<String>) -> Result<(), AwsError> {
    for id in tables {
        let table = net.get::<RouteTableRecord>(&id)?;
        if table.vpc != endpoint.vpc {
            return Err(elsewhere("Route table", &id, &endpoint.vpc));
        }
        let rivals = net.select::<EndpointRecord>(|other| {
            other.id != endpoint.id && other.service == endpoint.service && other.route_tables.contains(&id)
        })?;
        if !rivals.is_empty() {
            return Err(errors::refused(
                "RouteAlreadyExists",
                format!(
                    "route table {id} already has a route with destination-prefix-list-id {}",
                    prefix_list(net.region(), &endpoint.service)
                ),
            ));
        }
        if !endpoint.route_tables.contains(&id) {
            endpoint.route_tables.push(id);
        }
    }
    Ok(())
}

fn add_groups(net: &Network<'_>, endpoint: &mut EndpointRecord, groups: Vec<String>) -> Result<(), AwsError> {
    for id in groups {
        if net.get::<GroupRecord>(&id)?.vpc != endpoint.vpc {
            return Err(elsewhere("Security group", &id, &endpoint.vpc));
        }
        if !endpoint.groups.contains(&id) {
            endpoint.groups.push(id);
        }
    }
    Ok(())
}

fn add_subnets(net: &Network<'_>, endpoint: &mut EndpointRecord, subnets: Vec<String>) -> Result<(), AwsError> {
    for id in subnets {
        let subnet = net.get::<SubnetRecord>(&id)?;
        if subnet.vpc != endpoint.vpc {
            return Err(elsewhere("Subnet", &id, &endpoint.vpc));
        }
        if endpoint.subnets.contains(&id) {
            continue;
        }
        for other in &endpoint.subnets {
            if net.get::<SubnetRecord>(other)?.zone == subnet.zone {
                return Err(errors::refused(
                    "DuplicateSubnetsInSameZone",
                    format!("Found another VPC endpoint subnet in the availability zone of {id}"),
                ));
            }
        }
        let groups = endpoint.groups.clone();
        InterfaceRecord::make(net, &subnet, NetworkInterfaceType::VpcEndpoint, &endpoint.id, groups, None)?;
        endpoint.subnets.push(id);
    }
    Ok(())
}

fn elsewhere(what: &str, id: &str, vpc: &str) -> AwsError {
    errors::refused("InvalidParameter", format!("{what} {id} does not belong to VPC {vpc}"))
}

fn set_private_dns(net: &Network<'_>, endpoint: &mut EndpointRecord, enabled: bool) -> Result<(), AwsError> {
    if enabled && !endpoint.private_dns {
        let vpc = net.get::<VpcRecord>(&endpoint.vpc)?;
        if !vpc.dns_support || !vpc.dns_hostnames {
            return Err(errors::refused(
                "InvalidParameter",
                format!(
                    "Enabling private DNS requires both enableDnsSupport and enableDnsHostnames VPC attributes set to \
                     true for {}",
                    vpc.id
                ),
            ));
        }
        let rivals = net.select::<EndpointRecord>(|other| {
            other.id != endpoint.id
                && other.vpc == endpoint.vpc
                && other.service == endpoint.service
                && other.private_dns
        })?;
        if !rivals.is_empty() {
            return Err(errors::refused(
                "InvalidParameter",
                format!(
                    "private-dns-enabled cannot be set because there is already a conflicting DNS domain for \
                     {}.{}.amazonaws.com in the VPC {}",
                    endpoint.service,
                    net.region(),
                    vpc.id
                ),
            ));
        }
    }
    endpoint.private_dns = enabled;
    Ok(())
}

pub(crate) fn modify(net: &Network<'_>, input: ModifyVpcEndpointRequest) -> Result<ModifyVpcEndpointResult, AwsError> {
    check_addressing(input.ip_address_type)?;
    let mut endpoint = net.get::<EndpointRecord>(&input.vpc_endpoint_id)?;
    endpoint.dns = endpoint.dns.changed(input.dns_options.as_ref())?;
    match endpoint.endpoint_type {
        VpcEndpointType::Gateway => refuse_members(&[
            ("AddSubnetIds", input.add_subnet_ids.is_some()),
            ("RemoveSubnetIds", input.remove_subnet_ids.is_some()),
            ("AddSecurityGroupIds", input.add_security_group_ids.is_some()),
            ("RemoveSecurityGroupIds", input.remove_security_group_ids.is_some()),
            ("PrivateDnsEnabled", input.private_dns_enabled == Some(true)),
        ])?,
        _ => refuse_members(&[
            ("AddRouteTableIds", input.add_route_table_ids.is_some()),
            ("RemoveRouteTableIds", input.remove_route_table_ids.is_some()),
        ])?,
    }
    if input.reset_policy == Some(true) {
        policy::FULL_ACCESS.clone_into(&mut endpoint.policy);
    }
    if let Some(document) = input.policy_document {
        endpoint.policy = policy::checked(document)?;
    }
    let given = Option::unwrap_or_default;
    let removed: Vec<String> = given(input.remove_route_table_ids);
    endpoint.route_tables.retain(|id| !removed.contains(id));
    add_tables(net, &mut endpoint, given(input.add_route_table_ids))?;
    remove_subnets(net, &mut endpoint, &given(input.remove_subnet_ids))?;
    add_subnets(net, &mut endpoint, given(input.add_subnet_ids))?;
    let removed: Vec<String> = given(input.remove_security_group_ids);
    endpoint.groups.retain(|id| !removed.contains(id));
    add_groups(net, &mut endpoint, given(input.add_security_group_ids))?;
    for mut interface in endpoint.interfaces(net)? {
        interface.groups.clone_from(&endpoint.groups);
        net.put(&interface)?;
    }
    if let Some(enabled) = input.private_dns_enabled
        && endpoint.endpoint_type == VpcEndpointType::Interface
    {
        set_private_dns(net, &mut endpoint, enabled)?;
    }
    net.put(&endpoint)?;
    Ok(ModifyVpcEndpointResult { r#return: Some(true) })
}

fn remove_subnets(net: &Network<'_>, endpoint: &mut EndpointRecord, removed: &[String]) -> Result<(), AwsError> {
    for interface in endpoint.interfaces(net)? {
        if removed.contains(&interface.subnet) {
            net.remove(&interface.id)?;
        }
    }
    endpoint.subnets.retain(|id| !removed.contains(id));
    Ok(())
}

/// Takes a route table that is going out of an endpoint.
pub(crate) fn forget_table(net: &Network<'_>, mut endpoint: EndpointRecord, table: &str) -> Result<(), AwsError> {
    endpoint.route_tables.retain(|id| id != table);
    net.put(&endpoint)
}

/// What isn't there is reported beside what was deleted.
pub(crate) fn delete(
    net: &Network<'_>,
    input: DeleteVpcEndpointsRequest,
) -> Result<DeleteVpcEndpointsResult, AwsError> {
    let mut unsuccessful = Vec::new();
    for id in input.vpc_endpoint_ids {
        if let Some(endpoint) = net.find::<EndpointRecord>(&id)? {
            erase(net, &endpoint)?;
            continue;
        }
        let error = Kind::VpcEndpoint.missing(&id);
        unsuccessful.push(UnsuccessfulItem {
            error: Some(UnsuccessfulItemError { code: Some(error.code.into_owned()), message: Some(error.message) }),
            resource_id: Some(id),
        });
    }
    Ok(DeleteVpcEndpointsResult { unsuccessful: Some(unsuccessful) })
}

/// Removes an endpoint and its interfaces.
pub(crate) fn erase(net: &Network<'_>, endpoint: &EndpointRecord) -> Result<(), AwsError> {
    for interface in endpoint.interfaces(net)? {
        net.remove(&interface.id)?;
    }
    net.remove(&endpoint.id)
}

pub(crate) fn describe_all(
    net: &Network<'_>,
    input: DescribeVpcEndpointsRequest,
) -> Result<DescribeVpcEndpointsResult, AwsError> {
    let (endpoints, next_token) = describe::<EndpointRecord>(net, question!(input, vpc_endpoint_ids))?;
    Ok(DescribeVpcEndpointsResult { vpc_endpoints: Some(endpoints), next_token })
}
