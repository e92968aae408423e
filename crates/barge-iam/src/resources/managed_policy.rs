//! AWS::IAM::ManagedPolicy (CloudFormation Template Reference, "AWS::IAM::ManagedPolicy").

use super::properties::{document, first_id, name, pick, texts};
use crate::account::{Account, Record};
use crate::managed_policies::PolicyName;
use crate::records::{GroupRecord, Holder, PolicyRecord, RoleRecord, UserRecord};
use crate::{IamService, grants, managed_policies, policy_versions};
use async_trait::async_trait;
use barge_core::resource::{
    Creation, Properties, PropertyType, Reading, Resource, ResourceProvider, ResourceSchema, property,
};
use barge_core::{AwsError, Context, Document};
use barge_wire::from_properties;
use barge_wire::iam::CreatePolicyRequest;
use std::sync::Arc;

pub(super) struct ManagedPolicy(pub(super) Arc<IamService>);

static SCHEMA: ResourceSchema = ResourceSchema {
    type_name: "AWS::IAM::ManagedPolicy",
    properties: &[
        property("Description", PropertyType::String).replaces(),
        property("Groups", PropertyType::List),
        property("ManagedPolicyName", PropertyType::String).replaces(),
        property("Path", PropertyType::String).replaces(),
        property("PolicyDocument", PropertyType::Json).required(),
        property("Roles", PropertyType::List),
        property("Users", PropertyType::List),
    ],
    attributes: &[
        "AttachmentCount",
        "CreateDate",
        "DefaultVersionId",
        "IsAttachable",
        "PermissionsBoundaryUsageCount",
        "PolicyArn",
        "PolicyId",
        "UpdateDate",
    ],
};

#[async_trait]
impl ResourceProvider for ManagedPolicy {
    fn schema(&self) -> &ResourceSchema {
        &SCHEMA
    }

    async fn create(&self, cx: &Context, creation: &Creation) -> Result<Resource, AwsError> {
        let mut members = pick(&creation.properties, &["Description", "Path"]);
        members.insert("PolicyName".to_owned(), name(creation, "ManagedPolicyName", 128).into());
        members.insert("PolicyDocument".to_owned(), document(&creation.properties, "PolicyDocument")?.into());
        let request: CreatePolicyRequest = from_properties(&Document::Map(members))?;
        let desired = creation.clone();
        self.0
            .write_seeded(cx, &creation.token, move |account| {
                let found = account.find::<PolicyRecord>(&request.policy_name)?;
                let record = match found.filter(|record| record.id == first_id(&desired, "ANPA")) {
                    Some(record) => record,
                    None => managed_policies::create(account, request)?,
                };
                attach(account, &record.arn(account), &desired.properties)?;
                resource(account, &record)
            })
            .await
    }

    async fn update(&self, cx: &Context, id: &str, old: &Properties, new: &Creation) -> Result<Resource, AwsError> {
        let (arn, old, new) = (id.to_owned(), old.clone(), new.properties.clone());
        self.0
            .write(cx, move |account| {
                let (before, after) = (document(&old, "PolicyDocument")?, document(&new, "PolicyDocument")?);
                if before != after {
                    policy_versions::replace_default(account, &arn, after)?;
                }
                detach(account, &arn, &old)?;
                attach(account, &arn, &new)?;
                resource(account, &managed_policies::local(account, &arn)?)
            })
            .await
    }

    async fn delete(&self, cx: &Context, id: &str, properties: &Properties) -> Result<(), AwsError> {
        let (arn, properties) = (id.to_owned(), properties.clone());
        self.0
            .write(cx, move |account| {
                let name = PolicyName::parse(&arn)?.name;
                let Some(mut record) = account.find::<PolicyRecord>(&name)? else { return Ok(()) };
                detach(account, &arn, &properties)?;
                let default = record.default_version;
                record.versions.retain(|version| version.number == default);
                account.put(&record)?;
                managed_policies::delete(account, &arn)
            })
            .await
    }

    async fn read(&self, cx: &Context, id: &str, _: &Properties) -> Result<Option<Reading>, AwsError> {
        let arn = id.to_owned();
        self.0
            .read(cx, move |account| {
                let found = account.find::<PolicyRecord>(&PolicyName::parse(&arn)?.name)?;
                found.map(|record| reading(account, &record)).transpose()
            })
            .await
    }
}

fn reading(account: &Account<'_>, record: &PolicyRecord) -> Result<Reading, AwsError> {
    let arn = record.arn(account);
    let default = record.versions.iter().find(|version| version.number == record.default_version);
    let kept = [
        ("Description", record.description.clone().into()),
        ("Groups", holders::<GroupRecord>(account, &arn)?),
        ("ManagedPolicyName", record.name.as_str().into()),
        ("Path", record.path.as_str().into()),
        ("PolicyDocument", default.map(|version| version.document.as_str()).into()),
        ("Roles", holders::<RoleRecord>(account, &arn)?),
        ("Users", holders::<UserRecord>(account, &arn)?),
    ];
    Ok(Reading::new(&SCHEMA, resource(account, record)?, Document::map(kept)))
}

/// The names of those of a kind that the policy is attached to.
fn holders<H: Holder>(account: &Account<'_>, arn: &str) -> Result<Document, AwsError> {
    let mut holders = account.list::<H>()?;
    holders.retain_mut(|holder| holder.grants().attached.contains(arn));
    Ok(holders.iter().map(Record::name).collect())
}

fn attach(account: &Account<'_>, arn: &str, properties: &Properties) -> Result<(), AwsError> {
    for role in texts(properties, "Roles")? {
        grants::attach::<RoleRecord>(account, &role, arn.to_owned())?;
    }
    for user in texts(properties, "Users")? {
        grants::attach::<UserRecord>(account, &user, arn.to_owned())?;
    }
    for group in texts(properties, "Groups")? {
        grants::attach::<GroupRecord>(account, &group, arn.to_owned())?;
    }
    Ok(())
}

fn detach(account: &Account<'_>, arn: &str, properties: &Properties) -> Result<(), AwsError> {
    for role in texts(properties, "Roles")? {
        detach_from::<RoleRecord>(account, &role, arn)?;
    }
    for user in texts(properties, "Users")? {
        detach_from::<UserRecord>(account, &user, arn)?;
    }
    for group in texts(properties, "Groups")? {
        detach_from::<GroupRecord>(account, &group, arn)?;
    }
    Ok(())
}

/// What is gone already is no failure.
fn detach_from<H: Holder>(account: &Account<'_>, holder: &str, arn: &str) -> Result<(), AwsError> {
    match grants::detach::<H>(account, holder, arn) {
        Err(error) if !error.is("NoSuchEntity") => Err(error),
        _ => Ok(()),
    }
}

fn resource(account: &Account<'_>, record: &PolicyRecord) -> Result<Resource, AwsError> {
    let arn = record.arn(account);
    let usage = managed_policies::usage(account, &arn)?;
    let attributes: [(&str, Document); 8] = [
        ("AttachmentCount", usage.attached.into()),
        ("CreateDate", record.created.iso8601().into()),
        ("DefaultVersionId", format!("v{}", record.default_version).into()),
        ("IsAttachable", true.into()),
        ("PermissionsBoundaryUsageCount", usage.boundaries.into()),
        ("PolicyArn", arn.clone().into()),
        ("PolicyId", record.id.clone().into()),
        ("UpdateDate", record.updated.iso8601().into()),
    ];
    Ok(Resource {
        physical_id: arn,
        attributes: attributes.into_iter().map(|(name, value)| (name.to_owned(), value)).collect(),
    })
}
