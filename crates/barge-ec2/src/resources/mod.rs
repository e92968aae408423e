//! EC2's resource types for templates, one file each.
//!
//! A type that stands for one record says how to make, show, change and delete it ([`NetworkResource`]); [`Provider`]
//! does what is the same for all. Ids follow from the creation's token and each call is one transaction, so a repeated
//! creation finds what the first made, whole.

mod address;
mod gateway_attachment;
mod internet_gateway;
mod launch_template;
mod nat_gateway;
mod network_acl;
mod network_acl_association;
mod network_acl_entry;
mod properties;
mod route;
mod route_table;
mod route_table_association;
mod security_group;
mod security_group_rule;
mod subnet;
mod vpc;
mod vpc_endpoint;

use crate::Ec2Service;
use crate::kind::{Kind, is_missing};
use crate::network::Network;
use crate::tags;
use async_trait::async_trait;
use barge_core::ids::SeededIds;
use barge_core::resource::{Creation, Properties, Reading, Resource, ResourceProvider, ResourceSchema};
use barge_core::{AwsError, Context, Document};
use barge_wire::to_properties;
use std::marker::PhantomData;
use std::sync::Arc;

/// A provider for each of EC2's resource types.
pub fn resources(service: &Arc<Ec2Service>) -> Vec<Arc<dyn ResourceProvider>> {
    vec![
        provider::<vpc::Vpc>(service),
        provider::<subnet::Subnet>(service),
        provider::<internet_gateway::InternetGateway>(service),
        Arc::new(gateway_attachment::GatewayAttachment(Arc::clone(service))),
        provider::<address::ElasticIp>(service),
        provider::<nat_gateway::NatGateway>(service),
        provider::<route_table::RouteTable>(service),
        Arc::new(route::Route(Arc::clone(service))),
        Arc::new(route_table_association::Association(Arc::clone(service))),
        provider::<security_group::SecurityGroup>(service),
        provider::<security_group_rule::Ingress>(service),
        provider::<security_group_rule::Egress>(service),
        provider::<vpc_endpoint::VpcEndpoint>(service),
        provider::<network_acl::NetworkAcl>(service),
        Arc::new(network_acl_entry::Entry(Arc::clone(service))),
        Arc::new(network_acl_association::Association(Arc::clone(service))),
        provider::<launch_template::LaunchTemplate>(service),
    ]
}

fn provider<R: NetworkResource>(service: &Arc<Ec2Service>) -> Arc<dyn ResourceProvider> {
    Arc::new(Provider::<R>(Arc::clone(service), PhantomData))
}

/// A resource type that stands for one record.
trait NetworkResource: Send + Sync + 'static {
    const SCHEMA: ResourceSchema;
    const KIND: Kind;

    /// Makes the record; its id is the first that `net` mints.
    fn create(net: &Network<'_>, creation: &Creation) -> Result<(), AwsError>;

    /// The record as a template sees it.
    fn resource(net: &Network<'_>, id: &str, properties: &Properties) -> Result<Resource, AwsError>;

    /// The properties that the record shows, apart from tags; `given` says how the template wrote them.
    fn properties(net: &Network<'_>, id: &str, given: &Properties) -> Result<Properties, AwsError>;

    /// Changes what can be changed in place, apart from tags.
    fn update(_: &Network<'_>, _id: &str, _old: &Properties, _new: &Creation) -> Result<(), AwsError> {
        Ok(())
    }

    fn delete(net: &Network<'_>, id: &str) -> Result<(), AwsError>;

    /// The id of the record that a physical id names.
    fn record_id(_: &Network<'_>, physical_id: &str) -> Result<String, AwsError> {
        Ok(physical_id.to_owned())
    }
}

struct Provider<R>(Arc<Ec2Service>, PhantomData<R>);

impl<R: NetworkResource> Provider<R> {
    fn set_tags(net: &Network<'_>, id: &str, creation: &Creation) -> Result<(), AwsError> {
        if R::SCHEMA.properties.iter().any(|property| property.name == "Tags") {
            net.remove_tag(id, None, None)?;
            tags::put(net, id, &properties::tags(creation)?)?;
        }
        Ok(())
    }
}

#[async_trait]
impl<R: NetworkResource> ResourceProvider for Provider<R> {
    fn schema(&self) -> &ResourceSchema {
        &const { R::SCHEMA }
    }

    async fn create(&self, cx: &Context, creation: &Creation) -> Result<Resource, AwsError> {
        let creation = creation.clone();
        let token = creation.token.clone();
        self.0
            .write_seeded(cx, &token, move |net| {
                let id = net.with_ids(&SeededIds::new(creation.token.as_bytes())).mint(R::KIND);
                if !net.exists(&id)? {
                    R::create(net, &creation)?;
                    Self::set_tags(net, &id, &creation)?;
                }
                R::resource(net, &id, &creation.properties)
            })
            .await
    }

    async fn update(&self, cx: &Context, id: &str, old: &Properties, new: &Creation) -> Result<Resource, AwsError> {
        let (physical_id, old, new) = (id.to_owned(), old.clone(), new.clone());
        self.0
            .write(cx, move |net| {
                let id = R::record_id(net, &physical_id)?;
                R::update(net, &id, &old, &new)?;
                Self::set_tags(net, &id, &new)?;
                R::resource(net, &id, &new.properties)
            })
            .await
    }

    async fn delete(&self, cx: &Context, id: &str, properties: &Properties) -> Result<(), AwsError> {
        let (physical_id, properties) = (id.to_owned(), properties.clone());
        self.0
            .write(cx, move |net| {
                let there =
                    R::record_id(net, &physical_id).and_then(|id| R::resource(net, &id, &properties).map(|_| id));
                match there {
                    Ok(id) => R::delete(net, &id),
                    Err(error) if is_missing(&error) => Ok(()),
                    Err(error) => Err(error),
                }
            })
            .await
    }

    async fn read(&self, cx: &Context, id: &str, properties: &Properties) -> Result<Option<Reading>, AwsError> {
        let (physical_id, properties) = (id.to_owned(), properties.clone());
        self.0
            .read(cx, move |net| {
                let found = R::record_id(net, &physical_id).and_then(|id| {
                    let resource = R::resource(net, &id, &properties)?;
                    let mut kept = R::properties(net, &id, &properties)?;
                    if let Document::Map(members) = &mut kept {
                        members.insert("Tags".to_owned(), net.tags(&id)?.into_iter().map(to_properties).collect());
                    }
                    Ok(Reading::new(&R::SCHEMA, resource, kept))
                });
                properties::present(found)
            })
            .await
    }
}

/// A resource out of its physical id and attributes.
fn resource(physical_id: &str, attributes: impl IntoIterator<Item = (&'static str, Document)>) -> Resource {
    Resource {
        physical_id: physical_id.to_owned(),
        attributes: attributes.into_iter().map(|(name, value)| (name.to_owned(), value)).collect(),
    }
}

#[cfg(test)]
mod tests;
