//! AWS::IAM::UserToGroupAddition (CloudFormation Template Reference, "AWS::IAM::UserToGroupAddition").

use super::properties::{text, texts};
use crate::account::Account;
use crate::records::GroupRecord;
use crate::{IamService, groups};
use async_trait::async_trait;
use barge_core::resource::{
    Creation, Properties, PropertyType, Reading, Resource, ResourceProvider, ResourceSchema, property,
};
use barge_core::{AwsError, Context, Document};
use std::sync::Arc;

pub(super) struct GroupMembers(pub(super) Arc<IamService>);

static SCHEMA: ResourceSchema = ResourceSchema {
    type_name: "AWS::IAM::UserToGroupAddition",
    properties: &[
        property("GroupName", PropertyType::String).required(),
        property("Users", PropertyType::List).required(),
    ],
    attributes: &["Id"],
};

#[async_trait]
impl ResourceProvider for GroupMembers {
    fn schema(&self) -> &ResourceSchema {
        &SCHEMA
    }

    async fn create(&self, cx: &Context, creation: &Creation) -> Result<Resource, AwsError> {
        let properties = creation.properties.clone();
        self.0.write(cx, move |account| add(account, &properties)).await?;
        Ok(resource(&creation.physical_name(64)))
    }

    async fn update(&self, cx: &Context, id: &str, old: &Properties, new: &Creation) -> Result<Resource, AwsError> {
        let (old, new) = (old.clone(), new.properties.clone());
        self.0
            .write(cx, move |account| {
                remove(account, &old)?;
                add(account, &new)
            })
            .await?;
        Ok(resource(id))
    }

    async fn delete(&self, cx: &Context, _: &str, properties: &Properties) -> Result<(), AwsError> {
        let properties = properties.clone();
        self.0.write(cx, move |account| remove(account, &properties)).await
    }

    async fn read(&self, cx: &Context, id: &str, properties: &Properties) -> Result<Option<Reading>, AwsError> {
        let (id, properties) = (id.to_owned(), properties.clone());
        self.0
            .read(cx, move |account| {
                let Some(group) = account.find::<GroupRecord>(&group(&properties))? else { return Ok(None) };
                // The group may have others: an addition is about its own users.
                let mut users = texts(&properties, "Users")?;
                users.retain(|user| group.members.contains(user));
                let there = !users.is_empty();
                let kept = [("GroupName", group.name.into()), ("Users", users.into_iter().collect())];
                Ok(there.then(|| Reading::new(&SCHEMA, resource(&id), Document::map(kept))))
            })
            .await
    }
}

fn group(properties: &Properties) -> String {
    text(properties, "GroupName").unwrap_or_default()
}

fn add(account: &Account<'_>, properties: &Properties) -> Result<(), AwsError> {
    let group = group(properties);
    texts(properties, "Users")?.iter().try_for_each(|user| groups::add_user(account, &group, user))
}

/// What is gone already is no failure.
fn remove(account: &Account<'_>, properties: &Properties) -> Result<(), AwsError> {
    let group = group(properties);
    for user in texts(properties, "Users")? {
        match groups::remove_user(account, &group, &user) {
            Err(error) if !error.is("NoSuchEntity") => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

fn resource(id: &str) -> Resource {
    Resource { physical_id: id.to_owned(), attributes: std::iter::once(("Id".to_owned(), id.into())).collect() }
}
