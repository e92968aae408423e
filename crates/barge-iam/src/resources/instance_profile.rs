//! AWS::IAM::InstanceProfile (CloudFormation Template Reference, "AWS::IAM::InstanceProfile").

use super::properties::{first_id, name, pick, texts};
use crate::account::{Account, Record as _};
use crate::records::ProfileRecord;
use crate::{IamService, errors, profiles};
use async_trait::async_trait;
use barge_core::resource::{Creation, Properties, PropertyType, Resource, ResourceProvider, ResourceSchema, property};
use barge_core::{AwsError, Context, Document};
use barge_wire::from_properties;
use barge_wire::iam::CreateInstanceProfileRequest;
use std::sync::Arc;

pub(super) struct InstanceProfile(pub(super) Arc<IamService>);

static SCHEMA: ResourceSchema = ResourceSchema {
    type_name: "AWS::IAM::InstanceProfile",
    properties: &[
        property("InstanceProfileName", PropertyType::String).identifies(),
        property("Path", PropertyType::String).replaces(),
        property("Roles", PropertyType::List).required(),
    ],
    attributes: &["Arn"],
};

#[async_trait]
impl ResourceProvider for InstanceProfile {
    fn schema(&self) -> &ResourceSchema {
        &SCHEMA
    }

    async fn create(&self, cx: &Context, creation: &Creation) -> Result<Resource, AwsError> {
        let mut members = pick(&creation.properties, &["Path"]);
        let name = name(creation, "InstanceProfileName", 128);
        members.insert("InstanceProfileName".to_owned(), name.into());
        let request: CreateInstanceProfileRequest = from_properties(&Document::Map(members))?;
        let role = role(&creation.properties)?;
        let desired = creation.clone();
        self.0
            .write_seeded(cx, &creation.token, move |account| {
                let found = account.find::<ProfileRecord>(&request.instance_profile_name)?;
                if let Some(profile) = found.filter(|profile| profile.id == first_id(&desired, "AIPA")) {
                    return Ok(resource(account, &profile));
                }
                let profile = profiles::create(account, request)?;
                profiles::add_role(account, profile.name(), &role)?;
                Ok(resource(account, &profile))
            })
            .await
    }

    async fn update(&self, cx: &Context, id: &str, _: &Properties, new: &Creation) -> Result<Resource, AwsError> {
        let (name, role) = (id.to_owned(), role(&new.properties)?);
        self.0
            .write(cx, move |account| {
                account.change::<ProfileRecord>(&name, |profile| {
                    profile.role = None;
                    Ok(())
                })?;
                profiles::add_role(account, &name, &role)?;
                Ok(resource(account, &account.get::<ProfileRecord>(&name)?))
            })
            .await
    }

    async fn delete(&self, cx: &Context, id: &str, _: &Properties) -> Result<(), AwsError> {
        let name = id.to_owned();
        self.0.write(cx, move |account| account.remove::<ProfileRecord>(&name)).await
    }

    async fn read(&self, cx: &Context, id: &str, _: &Properties) -> Result<Option<Resource>, AwsError> {
        let name = id.to_owned();
        self.0
            .read(cx, move |account| {
                Ok(account.find::<ProfileRecord>(&name)?.map(|profile| resource(account, &profile)))
            })
            .await
    }
}

/// The one role that a profile takes.
fn role(properties: &Properties) -> Result<String, AwsError> {
    match <[String; 1]>::try_from(texts(properties, "Roles")?) {
        Ok([role]) => Ok(role),
        Err(roles) => Err(errors::validation(format!("Roles must name exactly one role, found {}", roles.len()))),
    }
}

fn resource(account: &Account<'_>, profile: &ProfileRecord) -> Resource {
    Resource {
        physical_id: profile.name.clone(),
        attributes: std::iter::once(("Arn".to_owned(), profile.arn(account).into())).collect(),
    }
}
