//! AWS::EC2::NetworkAcl (CloudFormation Template Reference, "AWS::EC2::NetworkAcl").

use super::properties::required;
use super::{NetworkResource, resource};
use crate::kind::Kind;
use crate::network::Network;
use crate::network_acls::{self, NetworkAclRecord};
use barge_core::resource::{Creation, Properties, PropertyType, Resource, ResourceSchema, TAG, property};
use barge_core::{AwsError, Document};
use barge_wire::ec2::DeleteNetworkAclRequest;

pub(super) struct NetworkAcl;

impl NetworkResource for NetworkAcl {
    const SCHEMA: ResourceSchema = ResourceSchema {
        type_name: "AWS::EC2::NetworkAcl",
        properties: &[
            property("Tags", PropertyType::List).of(TAG),
            property("VpcId", PropertyType::String).required().replaces(),
        ],
        attributes: &["Id"],
    };
    const KIND: Kind = Kind::NetworkAcl;

    fn create(net: &Network<'_>, creation: &Creation) -> Result<(), AwsError> {
        network_acls::make(net, &required(&creation.properties, "VpcId")?, &[]).map(drop)
    }

    fn resource(net: &Network<'_>, id: &str, _: &Properties) -> Result<Resource, AwsError> {
        let acl = net.get::<NetworkAclRecord>(id)?;
        Ok(resource(&acl.id, [("Id", acl.id.clone().into())]))
    }

    fn properties(net: &Network<'_>, id: &str, _: &Properties) -> Result<Properties, AwsError> {
        Ok(Document::map([("VpcId", net.get::<NetworkAclRecord>(id)?.vpc.into())]))
    }

    fn delete(net: &Network<'_>, id: &str) -> Result<(), AwsError> {
        network_acls::delete(net, DeleteNetworkAclRequest { network_acl_id: id.to_owned(), dry_run: None })
    }
}
