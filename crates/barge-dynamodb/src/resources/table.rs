//! `AWS::DynamoDB::Table` (AWS CloudFormation Template Reference).

use super::outline;
use super::reading::{kept, time_to_live};
use crate::DynamoDb;
use async_trait::async_trait;
use barge_core::resource::{
    Creation, Properties, Property, PropertyType, Reading, Resource, ResourceProvider, ResourceSchema, TAG, property,
};
use barge_core::{AwsError, Context, Document, Scope};
use indexmap::IndexMap;
use std::collections::BTreeMap;
use std::sync::Arc;

const SCHEMA: ResourceSchema =
    ResourceSchema { type_name: "AWS::DynamoDB::Table", properties: &PROPERTIES, attributes: &["Arn", "StreamArn"] };

const PROPERTIES: [Property; 14] = [
    property("TableName", PropertyType::String).identifies(),
    property("KeySchema", PropertyType::List).of(outline::KEY).required().replaces(),
    property("AttributeDefinitions", PropertyType::List).of(outline::ATTRIBUTE),
    property("BillingMode", PropertyType::String),
    property("ProvisionedThroughput", PropertyType::Map).of(outline::PROVISIONED),
    property("OnDemandThroughput", PropertyType::Map).of(outline::ON_DEMAND),
    property("GlobalSecondaryIndexes", PropertyType::List).of(outline::GLOBAL_INDEX),
    property("LocalSecondaryIndexes", PropertyType::List).of(outline::LOCAL_INDEX).replaces(),
    property("StreamSpecification", PropertyType::Map).of(outline::STREAM),
    property("SSESpecification", PropertyType::Map).of(outline::ENCRYPTION).replaces(),
    property("TableClass", PropertyType::String),
    property("TimeToLiveSpecification", PropertyType::Map).of(outline::TIME_TO_LIVE),
    property("DeletionProtectionEnabled", PropertyType::Boolean),
    property("Tags", PropertyType::List).of(TAG),
];

/// Members of CreateTable that a template's properties become, by the same names.
const CREATED_WITH: [&str; 9] = [
    "KeySchema",
    "AttributeDefinitions",
    "BillingMode",
    "ProvisionedThroughput",
    "OnDemandThroughput",
    "GlobalSecondaryIndexes",
    "LocalSecondaryIndexes",
    "TableClass",
    "DeletionProtectionEnabled",
];

/// The tag that tells which creation made a table, so that the same creation, tried again, finds it. AWS marks tables
/// the same way, with tags under its reserved prefix.
const TOKEN_TAG: &str = "aws:cloudformation:creation-token";

/// The provider.
pub(crate) struct Table {
    service: Arc<DynamoDb>,
}

impl Table {
    pub(crate) fn new(service: Arc<DynamoDb>) -> Self {
        Self { service }
    }

    async fn ask(&self, scope: &Scope, operation: &str, request: Document) -> Result<Document, AwsError> {
        let response = self.service.request(scope, operation, request.to_json()).await?;
        Document::from_json(response.as_bytes()).map_err(AwsError::internal)
    }

    /// The table's description; `None` where there is no such table.
    async fn describe(&self, scope: &Scope, name: &str) -> Result<Option<Document>, AwsError> {
        match self.ask(scope, "DescribeTable", named(name, [])).await {
            Ok(response) => Ok(response.get("Table").cloned()),
            Err(error) if error.is("ResourceNotFoundException") => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn require(&self, scope: &Scope, name: &str) -> Result<Document, AwsError> {
        self.describe(scope, name).await?.ok_or_else(|| {
            AwsError::new(
                "ResourceNotFoundException",
                400,
                format!("Requested resource not found: Table: {name} not found"),
            )
        })
    }

    async fn tags(&self, scope: &Scope, arn: &str) -> Result<BTreeMap<String, String>, AwsError> {
        let request = Document::map([("ResourceArn", Document::from(arn))]);
        let response = self.ask(scope, "ListTagsOfResource", request).await?;
        Ok(tag_map(response.get("Tags")))
    }

    async fn set_time_to_live(&self, scope: &Scope, name: &str, properties: &Properties) -> Result<(), AwsError> {
        if let Some(wanted) = properties.get("TimeToLiveSpecification") {
            let wanted = with_types(wanted);
            let now = self.ask(scope, "DescribeTimeToLive", named(name, [])).await?;
            let now = now.get("TimeToLiveDescription").cloned().unwrap_or_default();
            let enabled = now.get("TimeToLiveStatus").and_then(Document::as_str) == Some("ENABLED");
            let same = wanted.get("AttributeName") == now.get("AttributeName");
            if wanted.get("Enabled") == Some(&Document::Bool(enabled)) && (same || !enabled) {
                return Ok(());
            }
            self.ask(scope, "UpdateTimeToLive", named(name, [("TimeToLiveSpecification", wanted)])).await?;
        }
        Ok(())
    }

    async fn update_one(&self, scope: &Scope, name: &str, change: &'static str, to: Document) -> Result<(), AwsError> {
        self.ask(scope, "UpdateTable", named(name, [(change, to)])).await.map(drop)
    }

    async fn update_throughput(
        &self,
        scope: &Scope,
        name: &str,
        old: &Properties,
        new: &Properties,
    ) -> Result<(), AwsError> {
        let changed = |member: &str| old.get(member) != new.get(member);
        let members = ["BillingMode", "ProvisionedThroughput", "OnDemandThroughput"];
        if !members.into_iter().any(changed) {
            return Ok(());
        }
        let mut request = IndexMap::new();
        // A template that says nothing of the billing mode means PROVISIONED.
        request
            .insert("BillingMode".to_owned(), new.get("BillingMode").cloned().unwrap_or_else(|| "PROVISIONED".into()));
        for member in &members[1..] {
            if let Some(value) = new.get(member) {
                request.insert((*member).to_owned(), with_types(value));
            }
        }
        request.insert("TableName".to_owned(), name.into());
        self.ask(scope, "UpdateTable", Document::Map(request)).await.map(drop)
    }

    async fn update_indexes(
        &self,
        scope: &Scope,
        name: &str,
        old: &Properties,
        new: &Properties,
    ) -> Result<(), AwsError> {
        let (before, after) = (indexes(old), indexes(new));
        for (index, definition) in &before {
            if after.get(index) == Some(definition) {
                continue;
            }
            let throughput_only =
                after.get(index).is_some_and(|wanted| without_throughput(wanted) == without_throughput(definition));
            if throughput_only {
                let wanted = after.get(index).cloned().unwrap_or_default();
                let members = ["ProvisionedThroughput", "OnDemandThroughput"];
                let members = members.into_iter().filter_map(|member| Some((member, wanted.get(member)?.clone())));
                let update = Document::map([("IndexName", Document::from(index.as_str()))].into_iter().chain(members));
                let updates = Document::List(vec![Document::map([("Update", with_types(&update))])]);
                self.update_one(scope, name, "GlobalSecondaryIndexUpdates", updates).await?;
            } else {
                let delete =
                    Document::map([("Delete", Document::map([("IndexName", Document::from(index.as_str()))]))]);
                self.update_one(scope, name, "GlobalSecondaryIndexUpdates", Document::List(vec![delete])).await?;
            }
        }
        for (index, definition) in &after {
            let kept = before.get(index).is_some_and(|old| without_throughput(old) == without_throughput(definition));
            if !kept {
                let create = Document::map([("Create", with_types(definition))]);
                let attributes = new.get("AttributeDefinitions").cloned().unwrap_or_default();
                let request = named(
                    name,
                    [
                        ("GlobalSecondaryIndexUpdates", Document::List(vec![create])),
                        ("AttributeDefinitions", attributes),
                    ],
                );
                self.ask(scope, "UpdateTable", request).await?;
            }
        }
        Ok(())
    }

    async fn update_stream(
        &self,
        scope: &Scope,
        name: &str,
        old: &Properties,
        new: &Properties,
    ) -> Result<(), AwsError> {
        let (before, after) = (old.get("StreamSpecification"), new.get("StreamSpecification"));
        if before == after {
            return Ok(());
        }
        if before.is_some() {
            let off = Document::map([("StreamEnabled", Document::Bool(false))]);
            self.update_one(scope, name, "StreamSpecification", off).await?;
        }
        match after {
            Some(wanted) => self.update_one(scope, name, "StreamSpecification", stream(wanted)).await,
            None => Ok(()),
        }
    }

    async fn update_tags(&self, scope: &Scope, arn: &str, new: &Creation) -> Result<(), AwsError> {
        let (have, want) = (self.tags(scope, arn).await?, wanted_tags(new));
        let gone: Vec<Document> = have
            .keys()
            .filter(|key| !want.contains_key(*key) && key.as_str() != TOKEN_TAG)
            .map(|key| key.as_str().into())
            .collect();
        if !gone.is_empty() {
            let request = Document::map([("ResourceArn", arn.into()), ("TagKeys", Document::List(gone))]);
            self.ask(scope, "UntagResource", request).await?;
        }
        if want.iter().any(|(key, value)| have.get(key) != Some(value)) {
            let request = Document::map([("ResourceArn", arn.into()), ("Tags", tag_list(&want))]);
            self.ask(scope, "TagResource", request).await?;
        }
        Ok(())
    }
}

#[async_trait]
impl ResourceProvider for Table {
    fn schema(&self) -> &ResourceSchema {
        &SCHEMA
    }

    async fn create(&self, cx: &Context, creation: &Creation) -> Result<Resource, AwsError> {
        let properties = &creation.properties;
        let name = properties.get("TableName").and_then(Document::scalar_text);
        let name = name.unwrap_or_else(|| creation.physical_name(255));
        let mut request = IndexMap::new();
        request.insert("TableName".to_owned(), Document::from(name.as_str()));
        for member in CREATED_WITH {
            if let Some(value) = properties.get(member) {
                request.insert(member.to_owned(), member_with_type(member, value));
            }
        }
        if let Some(wanted) = properties.get("StreamSpecification") {
            request.insert("StreamSpecification".to_owned(), stream(wanted));
        }
        if let Some(wanted) = properties.get("SSESpecification") {
            request.insert("SSESpecification".to_owned(), encryption(wanted));
        }
        let mut tags = wanted_tags(creation);
        tags.insert(TOKEN_TAG.to_owned(), creation.token.clone());
        request.insert("Tags".to_owned(), tag_list(&tags));

        match self.ask(&cx.scope, "CreateTable", Document::Map(request)).await {
            Ok(_) => {}
            Err(error) if error.is("ResourceInUseException") => {
                let table = self.require(&cx.scope, &name).await?;
                if self.tags(&cx.scope, text(&table, "TableArn")).await?.get(TOKEN_TAG) != Some(&creation.token) {
                    return Err(error);
                }
            }
            Err(error) => return Err(error),
        }
        self.set_time_to_live(&cx.scope, &name, properties).await?;
        let table = self.require(&cx.scope, &name).await?;
        Ok(resource(&name, &table))
    }

    async fn update(
        &self,
        cx: &Context,
        physical_id: &str,
        old: &Properties,
        new: &Creation,
    ) -> Result<Resource, AwsError> {
        let (scope, properties) = (&cx.scope, &new.properties);
        let table = self.require(scope, physical_id).await?;
        self.update_throughput(scope, physical_id, old, properties).await?;
        self.update_indexes(scope, physical_id, old, properties).await?;
        self.update_stream(scope, physical_id, old, properties).await?;
        if old.get("TableClass") != properties.get("TableClass") {
            let class = properties.get("TableClass").cloned().unwrap_or_else(|| "STANDARD".into());
            self.update_one(scope, physical_id, "TableClass", class).await?;
        }
        if old.get("DeletionProtectionEnabled") != properties.get("DeletionProtectionEnabled") {
            let wanted = properties
                .get("DeletionProtectionEnabled")
                .map_or(Document::Bool(false), |value| member_with_type("DeletionProtectionEnabled", value));
            self.update_one(scope, physical_id, "DeletionProtectionEnabled", wanted).await?;
        }
        self.update_time_to_live(scope, physical_id, old, properties).await?;
        self.update_tags(scope, text(&table, "TableArn"), new).await?;
        let table = self.require(scope, physical_id).await?;
        Ok(resource(physical_id, &table))
    }

    async fn delete(&self, cx: &Context, physical_id: &str, _: &Properties) -> Result<(), AwsError> {
        match self.ask(&cx.scope, "DeleteTable", named(physical_id, [])).await {
            Err(error) if !error.is("ResourceNotFoundException") => Err(error),
            _ => Ok(()),
        }
    }

    async fn read(
        &self,
        cx: &Context,
        physical_id: &str,
        properties: &Properties,
    ) -> Result<Option<Reading>, AwsError> {
        let Some(table) = self.describe(&cx.scope, physical_id).await? else { return Ok(None) };
        let expiry = self.ask(&cx.scope, "DescribeTimeToLive", named(physical_id, [])).await?;
        let tags = self.tags(&cx.scope, text(&table, "TableArn")).await?;
        let mut kept = kept(&table);
        if let Document::Map(members) = &mut kept {
            members.insert("Tags".to_owned(), tag_list(&tags));
            let expiry = expiry.get("TimeToLiveDescription").cloned().unwrap_or_default();
            members.insert("TimeToLiveSpecification".to_owned(), time_to_live(&expiry, properties));
        }
        Ok(Some(Reading::new(&SCHEMA, resource(physical_id, &table), kept)))
    }
}

impl Table {
    async fn update_time_to_live(
        &self,
        scope: &Scope,
        name: &str,
        old: &Properties,
        new: &Properties,
    ) -> Result<(), AwsError> {
        let member = "TimeToLiveSpecification";
        if old.get(member) == new.get(member) {
            return Ok(());
        }
        if let (Some(before), None) = (old.get(member), new.get(member)) {
            let off = Document::map([
                ("AttributeName", before.get("AttributeName").cloned().unwrap_or_default()),
                ("Enabled", Document::Bool(false)),
            ]);
            return self.set_time_to_live(scope, name, &Document::map([(member, off)])).await;
        }
        self.set_time_to_live(scope, name, new).await
    }
}

/// A request about the table `name`.
fn named<const N: usize>(name: &str, members: [(&'static str, Document); N]) -> Document {
    Document::map(std::iter::once(("TableName", Document::from(name))).chain(members))
}

fn text<'a>(document: &'a Document, member: &str) -> &'a str {
    document.get(member).and_then(Document::as_str).unwrap_or_default()
}

fn resource(name: &str, table: &Document) -> Resource {
    let own = [("Arn", "TableArn"), ("TableId", "TableId")];
    let mut attributes: BTreeMap<String, Document> =
        own.into_iter().filter_map(|(name, member)| Some((name.to_owned(), table.get(member)?.clone()))).collect();
    if let Some(arn) = table.get("LatestStreamArn") {
        attributes.insert("StreamArn".to_owned(), arn.clone());
    }
    Resource { physical_id: name.to_owned(), attributes }
}

/// A stream specification as CreateTable takes it: a template gives the view type alone.
fn stream(wanted: &Document) -> Document {
    let view = wanted.get("StreamViewType").cloned().unwrap_or_default();
    Document::map([("StreamEnabled", Document::Bool(true)), ("StreamViewType", view)])
}

/// An encryption specification as CreateTable takes it: a template says `SSEEnabled`.
fn encryption(wanted: &Document) -> Document {
    let Some(members) = wanted.as_map() else { return wanted.clone() };
    let renamed = members.iter().map(|(name, value)| {
        let name = if name == "SSEEnabled" { "Enabled" } else { name.as_str() };
        (name.to_owned(), value.clone())
    });
    with_types(&Document::map(renamed))
}

/// Template values with the types that DynamoDB's JSON has: numbers and booleans may be written as text.
fn with_types(value: &Document) -> Document {
    match value {
        Document::Map(members) => {
            Document::map(members.iter().map(|(name, value)| (name.clone(), member_with_type(name, value))))
        }
        Document::List(items) => Document::List(items.iter().map(with_types).collect()),
        other => other.clone(),
    }
}

fn member_with_type(name: &str, value: &Document) -> Document {
    const NUMBERS: [&str; 4] =
        ["ReadCapacityUnits", "WriteCapacityUnits", "MaxReadRequestUnits", "MaxWriteRequestUnits"];
    match value.as_str() {
        Some(text) if NUMBERS.contains(&name) => text.parse().map_or_else(|_| value.clone(), Document::Integer),
        Some(text) if name.ends_with("Enabled") && text.eq_ignore_ascii_case("true") => Document::Bool(true),
        Some(text) if name.ends_with("Enabled") && text.eq_ignore_ascii_case("false") => Document::Bool(false),
        _ => with_types(value),
    }
}

/// Global secondary indexes by name.
fn indexes(properties: &Properties) -> BTreeMap<String, Document> {
    let list = properties.get("GlobalSecondaryIndexes").and_then(Document::as_list).unwrap_or_default();
    list.iter().map(|index| (text(index, "IndexName").to_owned(), index.clone())).collect()
}

fn without_throughput(index: &Document) -> Document {
    let members = index.as_map().into_iter().flatten();
    Document::map(
        members.filter(|(name, _)| !name.ends_with("Throughput")).map(|(name, value)| (name.clone(), value.clone())),
    )
}

fn tag_map(tags: Option<&Document>) -> BTreeMap<String, String> {
    let tags = tags.and_then(Document::as_list).unwrap_or_default();
    tags.iter()
        .map(|tag| (text(tag, "Key").to_owned(), tag.get("Value").and_then(Document::scalar_text).unwrap_or_default()))
        .collect()
}

fn tag_list(tags: &BTreeMap<String, String>) -> Document {
    let tag = |(key, value): (&String, &String)| {
        Document::map([("Key", key.as_str().into()), ("Value", Document::from(value.as_str()))])
    };
    Document::List(tags.iter().map(tag).collect())
}

/// The stack's tags, under the resource's own.
fn wanted_tags(creation: &Creation) -> BTreeMap<String, String> {
    let mut tags = creation.tags.clone();
    tags.extend(tag_map(creation.properties.get("Tags")));
    tags
}
