//! AWS::IAM::User (CloudFormation Template Reference, "AWS::IAM::User"). There is nothing to log in to, so LoginProfile is
//! refused.

use super::grants::{INLINE_POLICY, grant, held, revoke};
use super::properties::{first_id, name, pick, tags, text, texts};
use crate::account::Account;
use crate::records::{GroupRecord, UserRecord};
use crate::{IamService, groups, managed_policies, users};
use async_trait::async_trait;
use barge_core::resource::{
    Creation, Properties, PropertyType, Reading, Resource, ResourceProvider, ResourceSchema, TAG, property,
};
use barge_core::{AwsError, Context, Document};
use barge_wire::iam::CreateUserRequest;
use barge_wire::{from_properties, to_properties};
use std::sync::Arc;

pub(super) struct User(pub(super) Arc<IamService>);

static SCHEMA: ResourceSchema = ResourceSchema {
    type_name: "AWS::IAM::User",
    properties: &[
        property("Groups", PropertyType::List),
        property("ManagedPolicyArns", PropertyType::List),
        property("Path", PropertyType::String),
        property("PermissionsBoundary", PropertyType::String),
        property("Policies", PropertyType::List).of(INLINE_POLICY).open(&["PolicyDocument"]),
        property("Tags", PropertyType::List).of(TAG),
        property("UserName", PropertyType::String).identifies(),
    ],
    attributes: &["Arn"],
};

#[async_trait]
impl ResourceProvider for User {
    fn schema(&self) -> &ResourceSchema {
        &SCHEMA
    }

    async fn create(&self, cx: &Context, creation: &Creation) -> Result<Resource, AwsError> {
        let mut members = pick(&creation.properties, &["Path", "PermissionsBoundary"]);
        members.insert("UserName".to_owned(), name(creation, "UserName", 64).into());
        let request: CreateUserRequest = from_properties(&Document::Map(members))?;
        let desired = creation.clone();
        self.0
            .write_seeded(cx, &creation.token, move |account| {
                let found = account.find::<UserRecord>(&request.user_name)?;
                if let Some(user) = found.filter(|user| user.id == first_id(&desired, "AIDA")) {
                    return Ok(resource(account, &user));
                }
                let mut user = users::create(account, request)?;
                user.tags = tags(&desired)?;
                grant(account, &mut user, &desired.properties)?;
                account.put(&user)?;
                for group in texts(&desired.properties, "Groups")? {
                    groups::add_user(account, &group, &user.name)?;
                }
                Ok(resource(account, &user))
            })
            .await
    }

    async fn update(&self, cx: &Context, id: &str, old: &Properties, new: &Creation) -> Result<Resource, AwsError> {
        let (name, old, new) = (id.to_owned(), old.clone(), new.clone());
        self.0
            .write(cx, move |account| {
                let user = account.change::<UserRecord>(&name, |user| {
                    user.path = text(&new.properties, "Path").unwrap_or_else(|| "/".to_owned());
                    user.boundary = text(&new.properties, "PermissionsBoundary");
                    if let Some(boundary) = &user.boundary {
                        managed_policies::check_attachable(account, boundary)?;
                    }
                    user.tags = tags(&new)?;
                    revoke(user, &old)?;
                    grant(account, user, &new.properties)
                })?;
                leave(account, &name, &old)?;
                for group in texts(&new.properties, "Groups")? {
                    groups::add_user(account, &group, &name)?;
                }
                Ok(resource(account, &user))
            })
            .await
    }

    async fn delete(&self, cx: &Context, id: &str, properties: &Properties) -> Result<(), AwsError> {
        let (name, properties) = (id.to_owned(), properties.clone());
        self.0
            .write(cx, move |account| {
                let Some(mut user) = account.find::<UserRecord>(&name)? else { return Ok(()) };
                revoke(&mut user, &properties)?;
                account.put(&user)?;
                leave(account, &name, &properties)?;
                users::delete(account, &name)
            })
            .await
    }

    async fn read(&self, cx: &Context, id: &str, _: &Properties) -> Result<Option<Reading>, AwsError> {
        let name = id.to_owned();
        self.0
            .read(cx, move |account| account.find::<UserRecord>(&name)?.map(|user| reading(account, &user)).transpose())
            .await
    }
}

/// Takes the user out of the groups that a template put it into; a group that is gone needs no leaving.
fn leave(account: &Account<'_>, user: &str, properties: &Properties) -> Result<(), AwsError> {
    for group in texts(properties, "Groups")? {
        match groups::remove_user(account, &group, user) {
            Err(error) if !error.is("NoSuchEntity") => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

fn resource(account: &Account<'_>, user: &UserRecord) -> Resource {
    Resource {
        physical_id: user.name.clone(),
        attributes: std::iter::once(("Arn".to_owned(), user.arn(account).into())).collect(),
    }
}

fn reading(account: &Account<'_>, user: &UserRecord) -> Result<Reading, AwsError> {
    let groups = account.list::<GroupRecord>()?;
    let groups = groups.into_iter().filter(|group| group.members.contains(&user.name));
    let own = [
        ("Groups", groups.map(|group| group.name).collect()),
        ("Path", user.path.as_str().into()),
        ("PermissionsBoundary", user.boundary.clone().into()),
        ("Tags", user.tags.iter().cloned().map(to_properties).collect()),
        ("UserName", user.name.as_str().into()),
    ];
    Ok(Reading::new(&SCHEMA, resource(account, user), Document::map(own.into_iter().chain(held(&user.grants)))))
}
