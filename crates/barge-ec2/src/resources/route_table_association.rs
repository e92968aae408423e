//! AWS::EC2::SubnetRouteTableAssociation (CloudFormation Template Reference, "AWS::EC2::SubnetRouteTableAssociation").

use super::properties::{gone, required};
use super::resource;
use crate::Ec2Service;
use crate::route_tables::{self, Found};
use async_trait::async_trait;
use barge_core::resource::{
    Creation, Properties, PropertyType, Reading, Resource, ResourceProvider, ResourceSchema, property,
};
use barge_core::{AwsError, Context, Document};
use barge_wire::ec2::DisassociateRouteTableRequest;
use std::sync::Arc;

pub(super) struct Association(pub(super) Arc<Ec2Service>);

static SCHEMA: ResourceSchema = ResourceSchema {
    type_name: "AWS::EC2::SubnetRouteTableAssociation",
    properties: &[
        property("RouteTableId", PropertyType::String).required().replaces(),
        property("SubnetId", PropertyType::String).required().replaces(),
    ],
    attributes: &["Id"],
};

#[async_trait]
impl ResourceProvider for Association {
    fn schema(&self) -> &ResourceSchema {
        &SCHEMA
    }

    async fn create(&self, cx: &Context, creation: &Creation) -> Result<Resource, AwsError> {
        let table = required(&creation.properties, "RouteTableId")?;
        let subnet = required(&creation.properties, "SubnetId")?;
        let id = self
            .0
            .write_seeded(cx, &creation.token, move |net| route_tables::make_association(net, &table, &subnet))
            .await?;
        Ok(shown(&id))
    }

    async fn update(&self, _: &Context, id: &str, _: &Properties, _: &Creation) -> Result<Resource, AwsError> {
        Ok(shown(id))
    }

    async fn delete(&self, cx: &Context, id: &str, _: &Properties) -> Result<(), AwsError> {
        let input = DisassociateRouteTableRequest { association_id: id.to_owned(), dry_run: None };
        self.0.write(cx, move |net| gone(route_tables::disassociate(net, input))).await
    }

    async fn read(&self, cx: &Context, id: &str, _: &Properties) -> Result<Option<Reading>, AwsError> {
        let id = id.to_owned();
        self.0
            .read(cx, move |net| {
                let found = route_tables::find_association(net, &id)?;
                let kept = found.map(|found| match found {
                    Found::Main(table) => [("RouteTableId", table.id.into()), ("SubnetId", Document::Null)],
                    Found::Subnet(table, to) => [("RouteTableId", table.id.into()), ("SubnetId", to.subnet.into())],
                });
                Ok(kept.map(|kept| Reading::new(&SCHEMA, shown(&id), Document::map(kept))))
            })
            .await
    }
}

fn shown(id: &str) -> Resource {
    resource(id, [("Id", id.into())])
}
