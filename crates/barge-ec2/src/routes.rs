//! Routes: IPv4 destinations, to an internet gateway, a NAT gateway or a network interface.

use crate::cidr::Cidr;
use crate::errors;
use crate::internet_gateways::InternetGatewayRecord;
use crate::kind::Kind;
use crate::nat_gateways::NatRecord;
use crate::network::Network;
use crate::network_interfaces::InterfaceRecord;
use crate::route_tables::RouteTableRecord;
use crate::vpc_endpoints;
use crate::vpcs::VpcRecord;
use barge_core::AwsError;
use barge_wire::ec2::{
    CreateRouteRequest, CreateRouteResult, DeleteRouteRequest, ReplaceRouteRequest, Route, RouteOrigin, RouteState,
};
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct RouteRecord {
    pub(crate) destination: Cidr,
    pub(crate) target: Target,
}

/// Where packets would go.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum Target {
    InternetGateway(String),
    NatGateway(String),
    Interface(String),
}

impl Target {
    /// The one target among those that a request may name.
    pub(crate) fn chosen(
        gateway: Option<String>,
        nat_gateway: Option<String>,
        interface: Option<String>,
    ) -> Result<Self, AwsError> {
        let named =
            [gateway.map(Self::InternetGateway), nat_gateway.map(Self::NatGateway), interface.map(Self::Interface)];
        let mut named = named.into_iter().flatten();
        match (named.next(), named.next()) {
            (Some(target), None) => Ok(target),
            (None, _) => Err(errors::missing_parameter("GatewayId, NatGatewayId or NetworkInterfaceId")),
            (Some(_), Some(_)) => Err(errors::refused(
                "InvalidParameterCombination",
                "Exactly one of the targets GatewayId, NatGatewayId and NetworkInterfaceId must be specified.",
            )),
        }
    }

    /// Refuses a target that is not there, or not in the table's VPC.
    fn check(&self, net: &Network<'_>, table: &RouteTableRecord) -> Result<(), AwsError> {
        let (id, vpc) = match self {
            Self::InternetGateway(id) if Kind::of_id(id) != Some(Kind::InternetGateway) => {
                return Err(AwsError::not_implemented(
                    "Amazon EC2",
                    &format!("routes to {id}, which is no internet gateway,"),
                ));
            }
            Self::InternetGateway(id) => (id, net.get::<InternetGatewayRecord>(id)?.vpc),
            Self::NatGateway(id) => {
                let nat = net.get::<NatRecord>(id)?;
                let there = nat.deleted.is_none().then_some(nat.vpc);
                (id, Some(there.ok_or_else(|| Kind::NatGateway.missing(id))?))
            }
            Self::Interface(id) => (id, Some(net.get::<InterfaceRecord>(id)?.vpc)),
        };
        if vpc.as_ref() == Some(&table.vpc) {
            return Ok(());
        }
        Err(errors::invalid_value(format!(
            "route table {} and network gateway {id} belong to different networks",
            table.id
        )))
    }

    /// A route whose target has gone is a black hole.
    fn state(&self, net: &Network<'_>, table: &RouteTableRecord) -> RouteState {
        if self.check(net, table).is_ok() { RouteState::Active } else { RouteState::Blackhole }
    }
}

/// Every route of a table: the local one, its own, and those that gateway endpoints bring.
pub(crate) fn show_all(net: &Network<'_>, table: &RouteTableRecord) -> Result<Vec<Route>, AwsError> {
    let mut shown = vec![Route {
        destination_cidr_block: Some(net.get::<VpcRecord>(&table.vpc)?.cidr.to_string()),
        gateway_id: Some("local".to_owned()),
        origin: Some(RouteOrigin::CreateRouteTable),
        state: Some(RouteState::Active),
        ..Route::default()
    }];
    for route in &table.routes {
        let mut entry = Route {
            destination_cidr_block: Some(route.destination.to_string()),
            origin: Some(RouteOrigin::CreateRoute),
            state: Some(route.target.state(net, table)),
            ..Route::default()
        };
        match &route.target {
            Target::InternetGateway(id) => entry.gateway_id = Some(id.clone()),
            Target::NatGateway(id) => entry.nat_gateway_id = Some(id.clone()),
            Target::Interface(id) => entry.network_interface_id = Some(id.clone()),
        }
        shown.push(entry);
    }
    shown.extend(vpc_endpoints::routes_of(net, &table.id)?);
    Ok(shown)
}

fn destination(text: Option<String>) -> Result<Cidr, AwsError> {
    Cidr::parse(&text.ok_or_else(|| errors::missing_parameter("DestinationCidrBlock"))?)
}

fn is_local(net: &Network<'_>, table: &RouteTableRecord, destination: Cidr) -> Result<bool, AwsError> {
    Ok(net.get::<VpcRecord>(&table.vpc)?.cidr == destination)
}

pub(crate) fn create(net: &Network<'_>, input: CreateRouteRequest) -> Result<CreateRouteResult, AwsError> {
    let route = RouteRecord {
        destination: destination(input.destination_cidr_block)?,
        target: Target::chosen(input.gateway_id, input.nat_gateway_id, input.network_interface_id)?,
    };
    let mut table = net.get::<RouteTableRecord>(&input.route_table_id)?;
    route.target.check(net, &table)?;
    let taken = table.routes.iter().any(|other| other.destination == route.destination);
    if taken || is_local(net, &table, route.destination)? {
        return Err(errors::refused(
            "RouteAlreadyExists",
            format!("The route identified by {} already exists.", route.destination),
        ));
    }
    table.routes.push(route);
    net.put(&table)?;
    Ok(CreateRouteResult { r#return: Some(true) })
}

pub(crate) fn replace(net: &Network<'_>, input: ReplaceRouteRequest) -> Result<(), AwsError> {
    let destination = destination(input.destination_cidr_block)?;
    let target = Target::chosen(input.gateway_id, input.nat_gateway_id, input.network_interface_id)?;
    let mut table = net.get::<RouteTableRecord>(&input.route_table_id)?;
    target.check(net, &table)?;
    let route = table.routes.iter_mut().find(|route| route.destination == destination).ok_or_else(|| {
        errors::invalid_value(format!(
            "There is no route defined for '{destination}' in the route table. Use CreateRoute instead."
        ))
    })?;
    route.target = target;
    net.put(&table)
}

pub(crate) fn delete(net: &Network<'_>, input: DeleteRouteRequest) -> Result<(), AwsError> {
    let destination = destination(input.destination_cidr_block)?;
    let mut table = net.get::<RouteTableRecord>(&input.route_table_id)?;
    if is_local(net, &table, destination)? {
        return Err(errors::invalid_value(format!(
            "cannot remove local route {destination} in route table {}",
            table.id
        )));
    }
    let before = table.routes.len();
    table.routes.retain(|route| route.destination != destination);
    if table.routes.len() == before {
        return Err(errors::refused(
            "InvalidRoute.NotFound",
            format!("no route with destination-cidr-block {destination} in route table {}", table.id),
        ));
    }
    net.put(&table)
}
