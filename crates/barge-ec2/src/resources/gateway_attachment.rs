//! AWS::EC2::VPCGatewayAttachment (CloudFormation Template Reference, "AWS::EC2::VPCGatewayAttachment"). VPN gateways
//! are not there, so the property is refused.

use super::properties::{gone, required};
use super::resource;
use crate::Ec2Service;
use crate::internet_gateways::{self, InternetGatewayRecord};
use crate::network::Network;
use async_trait::async_trait;
use barge_core::resource::{
    Creation, Properties, PropertyType, Reading, Resource, ResourceProvider, ResourceSchema, property,
};
use barge_core::{AwsError, Context, Document};
use barge_wire::ec2::AttachInternetGatewayRequest;
use std::sync::Arc;

pub(super) struct GatewayAttachment(pub(super) Arc<Ec2Service>);

static SCHEMA: ResourceSchema = ResourceSchema {
    type_name: "AWS::EC2::VPCGatewayAttachment",
    properties: &[
        property("InternetGatewayId", PropertyType::String).required(),
        property("VpcId", PropertyType::String).required().replaces(),
    ],
    attributes: &["AttachmentType"],
};

const ATTACHMENT_TYPE: &str = "IGW";

#[async_trait]
impl ResourceProvider for GatewayAttachment {
    fn schema(&self) -> &ResourceSchema {
        &SCHEMA
    }

    async fn create(&self, cx: &Context, creation: &Creation) -> Result<Resource, AwsError> {
        let properties = creation.properties.clone();
        self.0.write(cx, move |net| attach(net, &properties)).await
    }

    async fn update(&self, cx: &Context, _: &str, old: &Properties, new: &Creation) -> Result<Resource, AwsError> {
        let (old, new) = (old.clone(), new.properties.clone());
        self.0
            .write(cx, move |net| {
                gone(detach(net, &old))?;
                attach(net, &new)
            })
            .await
    }

    async fn delete(&self, cx: &Context, _: &str, properties: &Properties) -> Result<(), AwsError> {
        let properties = properties.clone();
        self.0.write(cx, move |net| gone(detach(net, &properties))).await
    }

    async fn read(&self, cx: &Context, _: &str, properties: &Properties) -> Result<Option<Reading>, AwsError> {
        let properties = properties.clone();
        self.0
            .read(cx, move |net| {
                let (gateway, vpc) = ends(&properties)?;
                Ok(attached(net, &gateway, &vpc)?.then(|| {
                    let kept = [("InternetGatewayId", gateway.into()), ("VpcId", vpc.as_str().into())];
                    Reading::new(&SCHEMA, shown(&vpc), Document::map(kept))
                }))
            })
            .await
    }
}

fn ends(properties: &Properties) -> Result<(String, String), AwsError> {
    Ok((required(properties, "InternetGatewayId")?, required(properties, "VpcId")?))
}

fn attached(net: &Network<'_>, gateway: &str, vpc: &str) -> Result<bool, AwsError> {
    let found = net.find::<InternetGatewayRecord>(gateway)?;
    Ok(found.is_some_and(|gateway| gateway.vpc.as_deref() == Some(vpc)))
}

fn attach(net: &Network<'_>, properties: &Properties) -> Result<Resource, AwsError> {
    let (gateway, vpc) = ends(properties)?;
    if !attached(net, &gateway, &vpc)? {
        let input = AttachInternetGatewayRequest { internet_gateway_id: gateway, vpc_id: vpc.clone(), dry_run: None };
        internet_gateways::attach(net, input)?;
    }
    Ok(shown(&vpc))
}

/// CloudFormation waits until the VPC's public addresses are unmapped; nothing flows here, so there is nothing to wait
/// for.
fn detach(net: &Network<'_>, properties: &Properties) -> Result<(), AwsError> {
    let (id, vpc) = ends(properties)?;
    let mut gateway = net.get::<InternetGatewayRecord>(&id)?;
    if gateway.vpc.as_ref() == Some(&vpc) {
        gateway.vpc = None;
        net.put(&gateway)?;
    }
    Ok(())
}

fn shown(vpc: &str) -> Resource {
    resource(&format!("{ATTACHMENT_TYPE}|{vpc}"), [("AttachmentType", ATTACHMENT_TYPE.into())])
}
