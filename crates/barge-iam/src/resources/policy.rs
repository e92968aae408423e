//! AWS::IAM::Policy: one inline document for several roles, users and groups (CloudFormation Template Reference,
//! "AWS::IAM::Policy").

use super::properties::{document, text, texts};
use crate::account::Account;
use crate::records::{GroupRecord, Holder, RoleRecord, UserRecord};
use crate::{IamService, errors, grants};
use async_trait::async_trait;
use barge_core::resource::{
    Creation, Properties, PropertyType, Reading, Resource, ResourceProvider, ResourceSchema, property,
};
use barge_core::{AwsError, Context, Document};
use std::sync::Arc;

pub(super) struct Policy(pub(super) Arc<IamService>);

static SCHEMA: ResourceSchema = ResourceSchema {
    type_name: "AWS::IAM::Policy",
    properties: &[
        property("Groups", PropertyType::List),
        property("PolicyDocument", PropertyType::Json).required(),
        property("PolicyName", PropertyType::String).required(),
        property("Roles", PropertyType::List),
        property("Users", PropertyType::List),
    ],
    attributes: &["Id"],
};

#[async_trait]
impl ResourceProvider for Policy {
    fn schema(&self) -> &ResourceSchema {
        &SCHEMA
    }

    async fn create(&self, cx: &Context, creation: &Creation) -> Result<Resource, AwsError> {
        let properties = creation.properties.clone();
        self.0.write(cx, move |account| put(account, &properties)).await?;
        Ok(resource(&creation.physical_name(64)))
    }

    async fn update(&self, cx: &Context, id: &str, old: &Properties, new: &Creation) -> Result<Resource, AwsError> {
        let (old, new) = (old.clone(), new.properties.clone());
        self.0
            .write(cx, move |account| {
                remove(account, &old)?;
                put(account, &new)
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
        self.0.read(cx, move |account| reading(account, &id, &properties)).await
    }
}

/// The policy as those hold it whom the template names.
fn reading(account: &Account<'_>, id: &str, properties: &Properties) -> Result<Option<Reading>, AwsError> {
    let name = policy_name(properties)?;
    let mut documents = Vec::new();
    let roles = holders::<RoleRecord>(account, texts(properties, "Roles")?, &name, &mut documents);
    let users = holders::<UserRecord>(account, texts(properties, "Users")?, &name, &mut documents);
    let groups = holders::<GroupRecord>(account, texts(properties, "Groups")?, &name, &mut documents);
    // Where one of them has got another, that is the one to tell of.
    let own = document(properties, "PolicyDocument")?;
    let Some(shown) = documents.iter().find(|document| **document != own).or(documents.first()) else {
        return Ok(None);
    };
    let kept = [
        ("Groups", groups),
        ("PolicyDocument", shown.as_str().into()),
        ("PolicyName", name.as_str().into()),
        ("Roles", roles),
        ("Users", users),
    ];
    Ok(Some(Reading::new(&SCHEMA, resource(id), Document::map(kept))))
}

/// Those of `names` that have the policy; adds what they have under its name.
fn holders<H: Holder>(
    account: &Account<'_>,
    names: Vec<String>,
    policy: &str,
    documents: &mut Vec<String>,
) -> Document {
    let mut holds = |name: &String| {
        let document = grants::get::<H>(account, name, policy).ok();
        documents.extend(document.clone());
        document.is_some()
    };
    names.into_iter().filter(|name| holds(name)).collect()
}

fn put(account: &Account<'_>, properties: &Properties) -> Result<(), AwsError> {
    let (name, document) = (policy_name(properties)?, document(properties, "PolicyDocument")?);
    let (roles, users) = (texts(properties, "Roles")?, texts(properties, "Users")?);
    let groups = texts(properties, "Groups")?;
    if roles.is_empty() && users.is_empty() && groups.is_empty() {
        return Err(errors::validation("At least one of [Groups,Roles,Users] must be non-empty."));
    }
    for role in &roles {
        grants::put::<RoleRecord>(account, role, name.clone(), document.clone())?;
    }
    for user in &users {
        grants::put::<UserRecord>(account, user, name.clone(), document.clone())?;
    }
    for group in &groups {
        grants::put::<GroupRecord>(account, group, name.clone(), document.clone())?;
    }
    Ok(())
}

fn remove(account: &Account<'_>, properties: &Properties) -> Result<(), AwsError> {
    let name = policy_name(properties)?;
    for role in texts(properties, "Roles")? {
        remove_from::<RoleRecord>(account, &role, &name)?;
    }
    for user in texts(properties, "Users")? {
        remove_from::<UserRecord>(account, &user, &name)?;
    }
    for group in texts(properties, "Groups")? {
        remove_from::<GroupRecord>(account, &group, &name)?;
    }
    Ok(())
}

/// What is gone already is no failure.
fn remove_from<H: Holder>(account: &Account<'_>, holder: &str, policy: &str) -> Result<(), AwsError> {
    match grants::delete::<H>(account, holder, policy) {
        Err(error) if !error.is("NoSuchEntity") => Err(error),
        _ => Ok(()),
    }
}

fn policy_name(properties: &Properties) -> Result<String, AwsError> {
    let legal = |c: char| c.is_ascii_alphanumeric() || "_+=,.@-".contains(c);
    text(properties, "PolicyName")
        .filter(|name| (1..=128).contains(&name.len()) && name.chars().all(legal))
        .ok_or_else(|| errors::validation("PolicyName must be 1 to 128 letters, digits or any of _+=,.@-"))
}

fn resource(id: &str) -> Resource {
    Resource { physical_id: id.to_owned(), attributes: std::iter::once(("Id".to_owned(), id.into())).collect() }
}
