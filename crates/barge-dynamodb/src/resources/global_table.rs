//! `AWS::DynamoDB::GlobalTable` (AWS CloudFormation Template Reference), as far as it is one table: the CDK's `TableV2` writes
//! every table so, with a replica in the stack's own region and no other.

use super::outline;
use super::table::Table;
use async_trait::async_trait;
use barge_core::resource::{
    Creation, Properties, Property, PropertyType, Reading, Resource, ResourceProvider, ResourceSchema, property,
};
use barge_core::{AwsError, Context, Document, Region};
use indexmap::IndexMap;

const SCHEMA: ResourceSchema = ResourceSchema {
    type_name: "AWS::DynamoDB::GlobalTable",
    properties: &PROPERTIES,
    attributes: &["Arn", "StreamArn", "TableId"],
};

const PROPERTIES: [Property; 11] = [
    property("TableName", PropertyType::String).identifies(),
    property("KeySchema", PropertyType::List).of(outline::KEY).required().replaces(),
    property("AttributeDefinitions", PropertyType::List).of(outline::ATTRIBUTE).required(),
    property("BillingMode", PropertyType::String),
    property("GlobalSecondaryIndexes", PropertyType::List),
    property("LocalSecondaryIndexes", PropertyType::List).of(outline::LOCAL_INDEX).replaces(),
    property("Replicas", PropertyType::List).required(),
    property("SSESpecification", PropertyType::Map).replaces(),
    property("StreamSpecification", PropertyType::Map),
    property("TimeToLiveSpecification", PropertyType::Map).of(outline::TIME_TO_LIVE),
    property("WriteOnDemandThroughputSettings", PropertyType::Map),
];

/// Properties that a table has by the same names and in the same form.
const SAME: [&str; 8] = [
    "TableName",
    "KeySchema",
    "AttributeDefinitions",
    "BillingMode",
    "LocalSecondaryIndexes",
    "SSESpecification",
    "StreamSpecification",
    "TimeToLiveSpecification",
];

/// What a replica says that a table says by the same names.
const REPLICAS: [&str; 3] = ["DeletionProtectionEnabled", "TableClass", "Tags"];

/// Where a throughput's members stand: of writes beside the index or table, of reads in the replica.
const WRITES: (&str, &str) = ("WriteOnDemandThroughputSettings", "MaxWriteRequestUnits");
const READS: (&str, &str) = ("ReadOnDemandThroughputSettings", "MaxReadRequestUnits");

/// The provider.
pub(crate) struct GlobalTable(pub(crate) Table);

fn lacking(what: &str) -> AwsError {
    AwsError::validation(format!("Barge does not support {what} of AWS::DynamoDB::GlobalTable."))
}

/// Refuses the members of `structure` that are not among `known`.
fn only(structure: &Document, path: &str, known: &[&str]) -> Result<(), AwsError> {
    let names = structure.as_map().into_iter().flat_map(IndexMap::keys);
    match names.into_iter().find(|name| !known.contains(&name.as_str())) {
        Some(unknown) => Err(lacking(&format!("{path}/{unknown}"))),
        None => Ok(()),
    }
}

/// The one replica, which is in the stack's region.
fn replica<'a>(properties: &'a Properties, region: &Region) -> Result<&'a Document, AwsError> {
    let replicas = properties.get("Replicas").and_then(Document::as_list).unwrap_or_default();
    let [replica] = replicas else { return Err(lacking("more Replicas than one, or none,")) };
    if replica.get("Region").and_then(Document::as_str) != Some(region.as_str()) {
        return Err(lacking("a replica outside the stack's region"));
    }
    let known = ["Region", "GlobalSecondaryIndexes", READS.0];
    only(replica, "Replicas/0", &[&known[..], &REPLICAS].concat())?;
    Ok(replica)
}

/// The throughput that two structures say, as a table or an index has it.
fn throughput(writes: &Document, reads: Option<&Document>) -> Option<Document> {
    let member = |of: Option<&Document>, (settings, name): (&str, &str)| of?.get(settings)?.get(name).cloned();
    let units = [(READS.1, member(reads, READS)), (WRITES.1, member(Some(writes), WRITES))];
    let units: IndexMap<String, Document> =
        units.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect();
    (!units.is_empty()).then_some(Document::Map(units))
}

/// What the global table says, as the properties of a table in `region`.
fn as_table(properties: &Properties, region: &Region) -> Result<Properties, AwsError> {
    let replica = replica(properties, region)?;
    let same = SAME.into_iter().filter_map(|name| Some((name, properties.get(name)?.clone())));
    let own = REPLICAS.into_iter().filter_map(|name| Some((name, replica.get(name)?.clone())));
    let throughput_of_table = throughput(properties, Some(replica)).map(|units| ("OnDemandThroughput", units));
    let indexes = properties.get("GlobalSecondaryIndexes").and_then(Document::as_list);
    let indexes = indexes.map(|indexes| {
        let indexes = indexes.iter().enumerate().map(|(at, index)| as_index(at, index, replica));
        Ok::<_, AwsError>(("GlobalSecondaryIndexes", Document::List(indexes.collect::<Result<_, _>>()?)))
    });
    Ok(Document::map(same.chain(own).chain(throughput_of_table).chain(indexes.transpose()?)))
}

fn named<'a>(indexes: Option<&'a Document>, name: Option<&Document>) -> Option<&'a Document> {
    indexes?.as_list()?.iter().find(|index| index.get("IndexName") == name)
}

fn as_index(at: usize, index: &Document, replica: &Document) -> Result<Document, AwsError> {
    const KEPT: [&str; 3] = ["IndexName", "KeySchema", "Projection"];
    only(index, &format!("GlobalSecondaryIndexes/{at}"), &[&KEPT[..], &[WRITES.0]].concat())?;
    let within = named(replica.get("GlobalSecondaryIndexes"), index.get("IndexName"));
    if let Some(within) = within {
        only(within, "Replicas/0/GlobalSecondaryIndexes", &["IndexName", READS.0])?;
    }
    let kept = KEPT.into_iter().filter_map(|name| Some((name, index.get(name)?.clone())));
    Ok(Document::map(kept.chain(throughput(index, within).map(|units| ("OnDemandThroughput", units)))))
}

/// The settings of a throughput as a global table writes them; `None` where nothing limits it.
fn settings(of: &Document, (settings, name): (&'static str, &'static str)) -> Option<(&'static str, Document)> {
    let units = of.get("OnDemandThroughput")?.get(name).filter(|units| units.scalar_text().as_deref() != Some("-1"))?;
    Some((settings, Document::map([(name, units.clone())])))
}

/// What is kept of a table, as a global table in `region` says it.
fn as_global(table: &Properties, region: &Region) -> Properties {
    let same = SAME.into_iter().filter_map(|name| Some((name, table.get(name)?.clone())));
    let indexes = table.get("GlobalSecondaryIndexes").and_then(Document::as_list).unwrap_or_default();
    let (mut written, mut read) = (Vec::new(), Vec::new());
    for index in indexes {
        let members = index.as_map().into_iter().flatten().filter(|(name, _)| *name != "OnDemandThroughput");
        let members = members.map(|(name, value)| (name.clone(), value.clone()));
        written.push(Document::map(members.chain(settings(index, WRITES).map(|(k, v)| (k.to_owned(), v)))));
        let name = ("IndexName", index.get("IndexName").cloned().unwrap_or_default());
        read.push(Document::map([name].into_iter().chain(settings(index, READS))));
    }
    let own = REPLICAS.into_iter().filter_map(|name| Some((name, table.get(name)?.clone())));
    let place = [("Region", region.as_str().into()), ("GlobalSecondaryIndexes", Document::List(read))];
    let replica = Document::map(place.into_iter().chain(own).chain(settings(table, READS)));
    let lists = [("GlobalSecondaryIndexes", Document::List(written)), ("Replicas", Document::List(vec![replica]))];
    Document::map(same.chain(lists).chain(settings(table, WRITES)))
}

/// The same creation, of a table.
fn of_table(creation: &Creation, region: &Region) -> Result<Creation, AwsError> {
    Ok(Creation { properties: as_table(&creation.properties, region)?, ..creation.clone() })
}

#[async_trait]
impl ResourceProvider for GlobalTable {
    fn schema(&self) -> &ResourceSchema {
        &SCHEMA
    }

    async fn create(&self, cx: &Context, creation: &Creation) -> Result<Resource, AwsError> {
        self.0.create(cx, &of_table(creation, &cx.scope.region)?).await
    }

    async fn update(&self, cx: &Context, id: &str, old: &Properties, new: &Creation) -> Result<Resource, AwsError> {
        let region = &cx.scope.region;
        self.0.update(cx, id, &as_table(old, region)?, &of_table(new, region)?).await
    }

    async fn delete(&self, cx: &Context, id: &str, properties: &Properties) -> Result<(), AwsError> {
        self.0.delete(cx, id, properties).await
    }

    async fn read(&self, cx: &Context, id: &str, properties: &Properties) -> Result<Option<Reading>, AwsError> {
        let region = &cx.scope.region;
        let Some(found) = self.0.read(cx, id, &as_table(properties, region)?).await? else { return Ok(None) };
        let kept = found.properties.unwrap_or_else(|| Document::Map(IndexMap::new()));
        Ok(Some(Reading::new(&SCHEMA, found.resource, as_global(&kept, region))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document(json: &str) -> Document {
        Document::from_json(json.as_bytes()).unwrap()
    }

    const WHOLE: &str = r#"{
        "TableName": "t", "KeySchema": [{"AttributeName": "k", "KeyType": "HASH"}],
        "AttributeDefinitions": [{"AttributeName": "k", "AttributeType": "S"}], "BillingMode": "PAY_PER_REQUEST",
        "GlobalSecondaryIndexes": [
            {"IndexName": "i", "KeySchema": [{"AttributeName": "k", "KeyType": "HASH"}], "Projection": {"ProjectionType": "ALL"},
             "WriteOnDemandThroughputSettings": {"MaxWriteRequestUnits": 4}}],
        "Replicas": [{"Region": "us-east-1", "GlobalSecondaryIndexes": [
                          {"IndexName": "i", "ReadOnDemandThroughputSettings": {"MaxReadRequestUnits": 3}}],
                      "DeletionProtectionEnabled": true, "TableClass": "STANDARD", "Tags": [{"Key": "a", "Value": "b"}],
                      "ReadOnDemandThroughputSettings": {"MaxReadRequestUnits": 1}}],
        "WriteOnDemandThroughputSettings": {"MaxWriteRequestUnits": 2}}"#;

    #[test]
    fn a_global_table_of_one_replica_is_a_table_and_back() {
        let table = as_table(&document(WHOLE), &Region::default()).unwrap();
        assert_eq!(
            table.get("OnDemandThroughput"),
            Some(&document(r#"{"MaxReadRequestUnits": 1, "MaxWriteRequestUnits": 2}"#))
        );
        let index = table.get("GlobalSecondaryIndexes").and_then(Document::as_list).unwrap()[0].clone();
        assert_eq!(
            index.get("OnDemandThroughput"),
            Some(&document(r#"{"MaxReadRequestUnits": 3, "MaxWriteRequestUnits": 4}"#))
        );
        assert_eq!(table.get("DeletionProtectionEnabled"), Some(&true.into()));
        assert_eq!(as_global(&table, &Region::default()), document(WHOLE));
    }

    #[test]
    fn what_would_be_more_than_a_table_is_refused_by_name() {
        for (replicas, word) in [
            ("[]", "none"),
            (r#"[{"Region": "us-east-1"}, {"Region": "eu-west-1"}]"#, "more Replicas"),
            (r#"[{"Region": "eu-west-1"}]"#, "outside the stack's region"),
            (r#"[{"Region": "us-east-1", "KinesisStreamSpecification": {}}]"#, "Replicas/0/KinesisStreamSpecification"),
        ] {
            let error = as_table(&document(&format!(r#"{{"Replicas": {replicas}}}"#)), &Region::default()).unwrap_err();
            assert!(error.message.contains(word), "{error}");
        }
    }
}
