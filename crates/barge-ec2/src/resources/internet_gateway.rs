//! AWS::EC2::InternetGateway (CloudFormation Template Reference, "AWS::EC2::InternetGateway").

use super::{NetworkResource, resource};
use crate::internet_gateways::{self, InternetGatewayRecord};
use crate::kind::Kind;
use crate::network::Network;
use barge_core::resource::{Creation, Properties, PropertyType, Resource, ResourceSchema, TAG, property};
use barge_core::{AwsError, Document};
use barge_wire::ec2::DeleteInternetGatewayRequest;

pub(super) struct InternetGateway;

impl NetworkResource for InternetGateway {
    const SCHEMA: ResourceSchema = ResourceSchema {
        type_name: "AWS::EC2::InternetGateway",
        properties: &[property("Tags", PropertyType::List).of(TAG)],
        attributes: &["InternetGatewayId"],
    };
    const KIND: Kind = Kind::InternetGateway;

    fn create(net: &Network<'_>, _: &Creation) -> Result<(), AwsError> {
        internet_gateways::make(net, &[]).map(drop)
    }

    fn resource(net: &Network<'_>, id: &str, _: &Properties) -> Result<Resource, AwsError> {
        net.get::<InternetGatewayRecord>(id)?;
        Ok(resource(id, [("InternetGatewayId", id.into())]))
    }

    fn properties(_: &Network<'_>, _: &str, _: &Properties) -> Result<Properties, AwsError> {
        Ok(Document::map::<String>([]))
    }

    fn delete(net: &Network<'_>, id: &str) -> Result<(), AwsError> {
        let input = DeleteInternetGatewayRequest { internet_gateway_id: id.to_owned(), dry_run: None };
        internet_gateways::delete(net, input)
    }
}
