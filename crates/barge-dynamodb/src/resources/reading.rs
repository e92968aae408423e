//! A table's description as the properties of a template.

use barge_core::Document;
use barge_core::resource::Properties;

/// Members of a description that a template writes by the same names and in the same form.
const SAME: [&str; 7] = [
    "TableName",
    "KeySchema",
    "AttributeDefinitions",
    "OnDemandThroughput",
    "GlobalSecondaryIndexes",
    "LocalSecondaryIndexes",
    "DeletionProtectionEnabled",
];

/// What DescribeTable tells of a table.
pub(super) fn kept(table: &Document) -> Properties {
    let within = |structure: &str, member: &str| table.get(structure).and_then(|found| found.get(member)).cloned();
    let billing = within("BillingModeSummary", "BillingMode").unwrap_or_else(|| "PROVISIONED".into());
    // A table that is paid for by the request shows a throughput of nothing.
    let provisioned = billing.as_str() == Some("PROVISIONED");
    let encrypted = within("SSEDescription", "Status").is_some_and(|status| status.as_str() == Some("ENABLED"));
    let encryption = [
        ("SSEEnabled", encrypted.into()),
        ("SSEType", within("SSEDescription", "SSEType").into()),
        ("KMSMasterKeyId", within("SSEDescription", "KMSMasterKeyArn").into()),
    ];
    let own = [
        ("BillingMode", billing),
        ("ProvisionedThroughput", table.get("ProvisionedThroughput").filter(|_| provisioned).cloned().into()),
        ("StreamSpecification", table.get("StreamSpecification").cloned().into()),
        ("SSESpecification", Document::map(encryption)),
        ("TableClass", within("TableClassSummary", "TableClass").unwrap_or_else(|| "STANDARD".into())),
    ];
    Document::map(SAME.into_iter().map(|name| (name, table.get(name).cloned().into())).chain(own))
}

/// What DescribeTimeToLive tells: it no longer knows the attribute where expiry is off.
pub(super) fn time_to_live(described: &Document, given: &Properties) -> Document {
    let enabled = described.get("TimeToLiveStatus").and_then(Document::as_str) == Some("ENABLED");
    let written = given.get("TimeToLiveSpecification").and_then(|given| given.get("AttributeName"));
    let attribute = if enabled { described.get("AttributeName") } else { written };
    Document::map([("AttributeName", attribute.cloned().into()), ("Enabled", Document::from(enabled))])
}
