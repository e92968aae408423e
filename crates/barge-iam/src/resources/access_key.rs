//! AWS::IAM::AccessKey (CloudFormation Template Reference, "AWS::IAM::AccessKey").

use super::properties::text;
use crate::access_keys::{self, KeyRecord};
use crate::{IamService, errors};
use async_trait::async_trait;
use barge_core::ids::SeededIds;
use barge_core::resource::{
    Creation, Properties, PropertyType, Reading, Resource, ResourceProvider, ResourceSchema, property,
};
use barge_core::{AwsError, Context, IdSource as _};
use barge_wire::iam::StatusType;
use barge_wire::to_properties;
use std::sync::Arc;

pub(super) struct AccessKey(pub(super) Arc<IamService>);

static SCHEMA: ResourceSchema = ResourceSchema {
    type_name: "AWS::IAM::AccessKey",
    properties: &[
        property("Serial", PropertyType::Integer).replaces().write_only(),
        property("Status", PropertyType::String),
        property("UserName", PropertyType::String).required().replaces(),
    ],
    attributes: &["SecretAccessKey"],
};

#[async_trait]
impl ResourceProvider for AccessKey {
    fn schema(&self) -> &ResourceSchema {
        &SCHEMA
    }

    async fn create(&self, cx: &Context, creation: &Creation) -> Result<Resource, AwsError> {
        let (user, status) = (user(&creation.properties), status(&creation.properties)?);
        // The id follows from the token, so that a second try finds the first's key; the secret follows from nothing.
        let id = format!("AKIA{}", SeededIds::new(creation.token.as_bytes()).upper_alphanumeric(16));
        let wanted = id.clone();
        self.0
            .change_key(cx, id, move |account| {
                if let Some(key) = access_keys::find(account, &wanted)? {
                    return Ok(resource(&key));
                }
                access_keys::create_with_id(account, Some(user.clone()), wanted.clone())?;
                access_keys::set_status(account, Some(user), &wanted, status)?;
                let key = access_keys::find(account, &wanted)?;
                key.map(|key| resource(&key)).ok_or_else(|| AwsError::internal("the key was not kept"))
            })
            .await
    }

    async fn update(&self, cx: &Context, id: &str, _: &Properties, new: &Creation) -> Result<Resource, AwsError> {
        let (user, status, wanted) = (user(&new.properties), status(&new.properties)?, id.to_owned());
        self.0
            .change_key(cx, id.to_owned(), move |account| {
                access_keys::set_status(account, Some(user), &wanted, status)?;
                let key = access_keys::find(account, &wanted)?;
                key.map(|key| resource(&key)).ok_or_else(|| AwsError::internal("the key was not kept"))
            })
            .await
    }

    async fn delete(&self, cx: &Context, id: &str, properties: &Properties) -> Result<(), AwsError> {
        let (user, wanted) = (user(properties), id.to_owned());
        let removed = self
            .0
            .change_key(cx, id.to_owned(), move |account| access_keys::delete(account, Some(user), &wanted))
            .await;
        match removed {
            Err(error) if !error.is("NoSuchEntity") => Err(error),
            _ => Ok(()),
        }
    }

    async fn read(&self, cx: &Context, id: &str, _: &Properties) -> Result<Option<Reading>, AwsError> {
        let id = id.to_owned();
        self.0
            .read(cx, move |account| {
                let found = access_keys::find(account, &id)?;
                Ok(found.map(|key| Reading::new(&SCHEMA, resource(&key), to_properties(key.show()))))
            })
            .await
    }
}

fn user(properties: &Properties) -> String {
    text(properties, "UserName").unwrap_or_default()
}

fn status(properties: &Properties) -> Result<StatusType, AwsError> {
    match text(properties, "Status").as_deref() {
        None | Some("Active") => Ok(StatusType::Active),
        Some("Inactive") => Ok(StatusType::Inactive),
        Some(other) => Err(errors::validation(format!("Status must be Active or Inactive, found {other}"))),
    }
}

fn resource(key: &KeyRecord) -> Resource {
    let secret = key.secret().into();
    Resource {
        physical_id: key.id.clone(),
        attributes: std::iter::once(("SecretAccessKey".to_owned(), secret)).collect(),
    }
}
