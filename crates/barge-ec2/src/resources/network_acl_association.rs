//! AWS::EC2::SubnetNetworkAclAssociation (CloudFormation Template Reference, "AWS::EC2::SubnetNetworkAclAssociation").

use super::properties::required;
use super::resource;
use crate::Ec2Service;
use crate::network_acls::{self, NetworkAclRecord};
use crate::subnets::SubnetRecord;
use async_trait::async_trait;
use barge_core::resource::{
    Creation, Properties, PropertyType, Reading, Resource, ResourceProvider, ResourceSchema, property,
};
use barge_core::{AwsError, Context, Document};
use std::sync::Arc;

pub(super) struct Association(pub(super) Arc<Ec2Service>);

static SCHEMA: ResourceSchema = ResourceSchema {
    type_name: "AWS::EC2::SubnetNetworkAclAssociation",
    properties: &[
        property("NetworkAclId", PropertyType::String).required().replaces(),
        property("SubnetId", PropertyType::String).required().replaces(),
    ],
    attributes: &["AssociationId"],
};

#[async_trait]
impl ResourceProvider for Association {
    fn schema(&self) -> &ResourceSchema {
        &SCHEMA
    }

    async fn create(&self, cx: &Context, creation: &Creation) -> Result<Resource, AwsError> {
        let acl = required(&creation.properties, "NetworkAclId")?;
        let subnet = required(&creation.properties, "SubnetId")?;
        let id = self
            .0
            .write_seeded(cx, &creation.token, move |net| {
                // The id that this creation's association gets is the one that an earlier try's has.
                network_acls::associate(net, net.get::<SubnetRecord>(&subnet)?, &acl)
            })
            .await?;
        Ok(shown(&id))
    }

    async fn update(&self, _: &Context, id: &str, _: &Properties, _: &Creation) -> Result<Resource, AwsError> {
        // Every property replaces the association.
        Ok(shown(id))
    }

    async fn delete(&self, cx: &Context, id: &str, _: &Properties) -> Result<(), AwsError> {
        let id = id.to_owned();
        self.0
            .write(cx, move |net| {
                // A subnet whose association is another by now is someone else's.
                for subnet in net.select::<SubnetRecord>(|subnet| subnet.acl_association == id)? {
                    let default = NetworkAclRecord::of_vpc(net, &subnet.vpc)?.id;
                    network_acls::associate(net, subnet, &default)?;
                }
                Ok(())
            })
            .await
    }

    async fn read(&self, cx: &Context, id: &str, _: &Properties) -> Result<Option<Reading>, AwsError> {
        let id = id.to_owned();
        self.0
            .read(cx, move |net| {
                let found = net.select::<SubnetRecord>(|subnet| subnet.acl_association == id)?.pop();
                let Some(subnet) = found else { return Ok(None) };
                let acl = match subnet.acl {
                    Some(acl) => acl,
                    None => NetworkAclRecord::of_vpc(net, &subnet.vpc)?.id,
                };
                let kept = Document::map([("NetworkAclId", acl.into()), ("SubnetId", subnet.id.into())]);
                Ok(Some(Reading::new(&SCHEMA, shown(&id), kept)))
            })
            .await
    }
}

fn shown(id: &str) -> Resource {
    resource(id, [("AssociationId", id.into())])
}
