//! AWS::IAM::Role (CloudFormation Template Reference, "AWS::IAM::Role").

use super::grants::{INLINE_POLICY, grant, held, revoke};
use super::properties::{document, first_id, name, pick, tags};
use crate::account::{Account, Record as _};
use crate::records::{DEFAULT_SESSION_SECONDS, RoleRecord};
use crate::{IamService, grants, managed_policies, roles};
use async_trait::async_trait;
use barge_core::resource::{
    Creation, Properties, PropertyType, Reading, Resource, ResourceProvider, ResourceSchema, TAG, property,
};
use barge_core::{AwsError, Context, Document};
use barge_wire::iam::CreateRoleRequest;
use barge_wire::{from_properties, to_properties};
use std::sync::Arc;

pub(super) struct Role(pub(super) Arc<IamService>);

static SCHEMA: ResourceSchema = ResourceSchema {
    type_name: "AWS::IAM::Role",
    properties: &[
        property("AssumeRolePolicyDocument", PropertyType::Json).required(),
        property("Description", PropertyType::String),
        property("ManagedPolicyArns", PropertyType::List),
        property("MaxSessionDuration", PropertyType::Integer),
        property("Path", PropertyType::String).replaces(),
        property("PermissionsBoundary", PropertyType::String),
        property("Policies", PropertyType::List).of(INLINE_POLICY).open(&["PolicyDocument"]),
        property("RoleName", PropertyType::String).identifies(),
        property("Tags", PropertyType::List).of(TAG),
    ],
    attributes: &["Arn", "RoleId"],
};

#[async_trait]
impl ResourceProvider for Role {
    fn schema(&self) -> &ResourceSchema {
        &SCHEMA
    }

    async fn create(&self, cx: &Context, creation: &Creation) -> Result<Resource, AwsError> {
        let request = request(creation)?;
        let desired = creation.clone();
        self.0
            .write_seeded(cx, &creation.token, move |account| {
                let found = account.find::<RoleRecord>(&request.role_name)?;
                let mut role = match found.filter(|role| role.id == first_id(&desired, "AROA")) {
                    Some(role) => return Ok(resource(account, &role)),
                    None => roles::create(account, request)?,
                };
                role.tags = tags(&desired)?;
                grant(account, &mut role, &desired.properties)?;
                account.put(&role)?;
                Ok(resource(account, &role))
            })
            .await
    }

    async fn update(&self, cx: &Context, id: &str, old: &Properties, new: &Creation) -> Result<Resource, AwsError> {
        let request = CreateRoleRequest { role_name: id.to_owned(), ..request(new)? };
        let (old, new) = (old.clone(), new.clone());
        self.0
            .write(cx, move |account| {
                let role = account.change::<RoleRecord>(&request.role_name, |role| {
                    if let Some(boundary) = &request.permissions_boundary {
                        managed_policies::check_attachable(account, boundary)?;
                    }
                    role.trust = grants::checked_trust(request.assume_role_policy_document.clone())?;
                    role.description.clone_from(&request.description);
                    role.max_session_seconds = request.max_session_duration.unwrap_or(DEFAULT_SESSION_SECONDS);
                    role.boundary.clone_from(&request.permissions_boundary);
                    role.tags = tags(&new)?;
                    revoke(role, &old)?;
                    grant(account, role, &new.properties)
                })?;
                Ok(resource(account, &role))
            })
            .await
    }

    async fn delete(&self, cx: &Context, id: &str, properties: &Properties) -> Result<(), AwsError> {
        let (name, properties) = (id.to_owned(), properties.clone());
        self.0
            .write(cx, move |account| {
                let Some(mut role) = account.find::<RoleRecord>(&name)? else { return Ok(()) };
                revoke(&mut role, &properties)?;
                account.put(&role)?;
                roles::delete(account, role.name())
            })
            .await
    }

    async fn read(&self, cx: &Context, id: &str, _: &Properties) -> Result<Option<Reading>, AwsError> {
        let name = id.to_owned();
        self.0.read(cx, move |account| Ok(account.find::<RoleRecord>(&name)?.map(|role| reading(account, &role)))).await
    }
}

fn request(creation: &Creation) -> Result<CreateRoleRequest, AwsError> {
    let mut members = pick(&creation.properties, &["Description", "MaxSessionDuration", "Path", "PermissionsBoundary"]);
    members.insert("RoleName".to_owned(), name(creation, "RoleName", 64).into());
    let trust = document(&creation.properties, "AssumeRolePolicyDocument")?;
    members.insert("AssumeRolePolicyDocument".to_owned(), trust.into());
    from_properties(&Document::Map(members))
}

fn resource(account: &Account<'_>, role: &RoleRecord) -> Resource {
    let attributes = [("Arn", role.arn(account)), ("RoleId", role.id.clone())];
    Resource {
        physical_id: role.name.clone(),
        attributes: attributes.into_iter().map(|(name, value)| (name.to_owned(), value.into())).collect(),
    }
}

fn reading(account: &Account<'_>, role: &RoleRecord) -> Reading {
    let own = [
        ("AssumeRolePolicyDocument", role.trust.as_str().into()),
        ("Description", role.description.clone().into()),
        ("MaxSessionDuration", role.max_session_seconds.into()),
        ("Path", role.path.as_str().into()),
        ("PermissionsBoundary", role.boundary.clone().into()),
        ("RoleName", role.name.as_str().into()),
        ("Tags", role.tags.iter().cloned().map(to_properties).collect()),
    ];
    Reading::new(&SCHEMA, resource(account, role), Document::map(own.into_iter().chain(held(&role.grants))))
}
