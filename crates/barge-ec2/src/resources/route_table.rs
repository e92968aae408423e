//! AWS::EC2::RouteTable (CloudFormation Template Reference, "AWS::EC2::RouteTable").

use super::properties::required;
use super::{NetworkResource, resource};
use crate::kind::Kind;
use crate::network::Network;
use crate::route_tables::{self, RouteTableRecord};
use barge_core::resource::{Creation, Properties, PropertyType, Resource, ResourceSchema, TAG, property};
use barge_core::{AwsError, Document};
use barge_wire::ec2::DeleteRouteTableRequest;

pub(super) struct RouteTable;

impl NetworkResource for RouteTable {
    const SCHEMA: ResourceSchema = ResourceSchema {
        type_name: "AWS::EC2::RouteTable",
        properties: &[
            property("Tags", PropertyType::List).of(TAG),
            property("VpcId", PropertyType::String).required().replaces(),
        ],
        attributes: &["RouteTableId"],
    };
    const KIND: Kind = Kind::RouteTable;

    fn create(net: &Network<'_>, creation: &Creation) -> Result<(), AwsError> {
        route_tables::make(net, &required(&creation.properties, "VpcId")?, &[]).map(drop)
    }

    fn resource(net: &Network<'_>, id: &str, _: &Properties) -> Result<Resource, AwsError> {
        net.get::<RouteTableRecord>(id)?;
        Ok(resource(id, [("RouteTableId", id.into())]))
    }

    fn properties(net: &Network<'_>, id: &str, _: &Properties) -> Result<Properties, AwsError> {
        Ok(Document::map([("VpcId", net.get::<RouteTableRecord>(id)?.vpc.into())]))
    }

    fn delete(net: &Network<'_>, id: &str) -> Result<(), AwsError> {
        route_tables::delete(net, DeleteRouteTableRequest { route_table_id: id.to_owned(), dry_run: None })
    }
}
