//! AWS::EC2::Route (CloudFormation Template Reference, "AWS::EC2::Route"). A table and a destination name a route.

use super::properties::{cidr, gone, request, required, text};
use super::resource;
use crate::Ec2Service;
use crate::cidr::Cidr;
use crate::network::Network;
use crate::route_tables::RouteTableRecord;
use crate::routes::{self, RouteRecord, Target};
use async_trait::async_trait;
use barge_core::resource::{
    Creation, Properties, PropertyType, Reading, Resource, ResourceProvider, ResourceSchema, property,
};
use barge_core::{AwsError, Context, Document};
use std::sync::Arc;

pub(super) struct Route(pub(super) Arc<Ec2Service>);

static SCHEMA: ResourceSchema = ResourceSchema {
    type_name: "AWS::EC2::Route",
    properties: &[
        property("DestinationCidrBlock", PropertyType::String).required().replaces(),
        property("GatewayId", PropertyType::String),
        property("NatGatewayId", PropertyType::String),
        property("NetworkInterfaceId", PropertyType::String),
        property("RouteTableId", PropertyType::String).required().replaces(),
    ],
    attributes: &["CidrBlock"],
};

const MEMBERS: &[&str] = &["DestinationCidrBlock", "GatewayId", "NatGatewayId", "NetworkInterfaceId", "RouteTableId"];

#[async_trait]
impl ResourceProvider for Route {
    fn schema(&self) -> &ResourceSchema {
        &SCHEMA
    }

    async fn create(&self, cx: &Context, creation: &Creation) -> Result<Resource, AwsError> {
        let properties = creation.properties.clone();
        self.0
            .write(cx, move |net| {
                let target = Target::chosen(
                    text(&properties, "GatewayId"),
                    text(&properties, "NatGatewayId"),
                    text(&properties, "NetworkInterfaceId"),
                )?;
                let made_before = find(net, &properties)?.is_some_and(|route| route.target == target);
                if !made_before {
                    routes::create(net, request(&properties, MEMBERS)?)?;
                }
                shown(&properties)
            })
            .await
    }

    async fn update(&self, cx: &Context, _: &str, _: &Properties, new: &Creation) -> Result<Resource, AwsError> {
        let properties = new.properties.clone();
        self.0
            .write(cx, move |net| {
                routes::replace(net, request(&properties, MEMBERS)?)?;
                shown(&properties)
            })
            .await
    }

    async fn delete(&self, cx: &Context, _: &str, properties: &Properties) -> Result<(), AwsError> {
        let properties = properties.clone();
        self.0
            .write(cx, move |net| {
                gone(routes::delete(net, request(&properties, &["DestinationCidrBlock", "RouteTableId"])?))
            })
            .await
    }

    async fn read(&self, cx: &Context, _: &str, properties: &Properties) -> Result<Option<Reading>, AwsError> {
        let properties = properties.clone();
        self.0
            .read(cx, move |net| {
                let Some(route) = find(net, &properties)? else { return Ok(None) };
                let target = match route.target {
                    Target::InternetGateway(id) => ("GatewayId", id),
                    Target::NatGateway(id) => ("NatGatewayId", id),
                    Target::Interface(id) => ("NetworkInterfaceId", id),
                };
                let kept = [
                    ("DestinationCidrBlock", cidr(&properties, "DestinationCidrBlock", route.destination)),
                    ("RouteTableId", key(&properties)?.0.into()),
                    (target.0, target.1.into()),
                ];
                Ok(Some(Reading::new(&SCHEMA, shown(&properties)?, Document::map(kept))))
            })
            .await
    }
}

fn key(properties: &Properties) -> Result<(String, Cidr), AwsError> {
    Ok((required(properties, "RouteTableId")?, Cidr::parse(&required(properties, "DestinationCidrBlock")?)?))
}

fn find(net: &Network<'_>, properties: &Properties) -> Result<Option<RouteRecord>, AwsError> {
    let (table, destination) = key(properties)?;
    let table = net.find::<RouteTableRecord>(&table)?;
    Ok(table.and_then(|table| table.routes.into_iter().find(|route| route.destination == destination)))
}

fn shown(properties: &Properties) -> Result<Resource, AwsError> {
    let (table, destination) = key(properties)?;
    Ok(resource(&format!("{table}|{destination}"), [("CidrBlock", destination.to_string().into())]))
}
