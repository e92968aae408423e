//! AWS::IAM::Group (CloudFormation Template Reference, "AWS::IAM::Group").

use super::grants::{INLINE_POLICY, grant, held, revoke};
use super::properties::{first_id, name, pick, text};
use crate::account::Account;
use crate::records::GroupRecord;
use crate::{IamService, groups};
use async_trait::async_trait;
use barge_core::resource::{
    Creation, Properties, PropertyType, Reading, Resource, ResourceProvider, ResourceSchema, property,
};
use barge_core::{AwsError, Context, Document};
use barge_wire::from_properties;
use barge_wire::iam::CreateGroupRequest;
use std::sync::Arc;

pub(super) struct Group(pub(super) Arc<IamService>);

static SCHEMA: ResourceSchema = ResourceSchema {
    type_name: "AWS::IAM::Group",
    properties: &[
        property("GroupName", PropertyType::String).identifies(),
        property("ManagedPolicyArns", PropertyType::List),
        property("Path", PropertyType::String),
        property("Policies", PropertyType::List).of(INLINE_POLICY).open(&["PolicyDocument"]),
    ],
    attributes: &["Arn"],
};

#[async_trait]
impl ResourceProvider for Group {
    fn schema(&self) -> &ResourceSchema {
        &SCHEMA
    }

    async fn create(&self, cx: &Context, creation: &Creation) -> Result<Resource, AwsError> {
        let mut members = pick(&creation.properties, &["Path"]);
        members.insert("GroupName".to_owned(), name(creation, "GroupName", 128).into());
        let request: CreateGroupRequest = from_properties(&Document::Map(members))?;
        let desired = creation.clone();
        self.0
            .write_seeded(cx, &creation.token, move |account| {
                let found = account.find::<GroupRecord>(&request.group_name)?;
                if let Some(group) = found.filter(|group| group.id == first_id(&desired, "AGPA")) {
                    return Ok(resource(account, &group));
                }
                let mut group = groups::create(account, request)?;
                grant(account, &mut group, &desired.properties)?;
                account.put(&group)?;
                Ok(resource(account, &group))
            })
            .await
    }

    async fn update(&self, cx: &Context, id: &str, old: &Properties, new: &Creation) -> Result<Resource, AwsError> {
        let (name, old, new) = (id.to_owned(), old.clone(), new.properties.clone());
        self.0
            .write(cx, move |account| {
                let group = account.change::<GroupRecord>(&name, |group| {
                    group.path = text(&new, "Path").unwrap_or_else(|| "/".to_owned());
                    revoke(group, &old)?;
                    grant(account, group, &new)
                })?;
                Ok(resource(account, &group))
            })
            .await
    }

    async fn delete(&self, cx: &Context, id: &str, properties: &Properties) -> Result<(), AwsError> {
        let (name, properties) = (id.to_owned(), properties.clone());
        self.0
            .write(cx, move |account| {
                let Some(mut group) = account.find::<GroupRecord>(&name)? else { return Ok(()) };
                revoke(&mut group, &properties)?;
                account.put(&group)?;
                groups::delete(account, &name)
            })
            .await
    }

    async fn read(&self, cx: &Context, id: &str, _: &Properties) -> Result<Option<Reading>, AwsError> {
        let name = id.to_owned();
        self.0
            .read(cx, move |account| Ok(account.find::<GroupRecord>(&name)?.map(|group| reading(account, &group))))
            .await
    }
}

fn resource(account: &Account<'_>, group: &GroupRecord) -> Resource {
    Resource {
        physical_id: group.name.clone(),
        attributes: std::iter::once(("Arn".to_owned(), group.arn(account).into())).collect(),
    }
}

fn reading(account: &Account<'_>, group: &GroupRecord) -> Reading {
    let own = [("GroupName", group.name.as_str().into()), ("Path", group.path.as_str().into())];
    Reading::new(&SCHEMA, resource(account, group), Document::map(own.into_iter().chain(held(&group.grants))))
}
