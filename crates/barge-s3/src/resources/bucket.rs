//! `AWS::S3::Bucket` (CloudFormation User Guide, "AWS::S3::Bucket").

use super::properties::Members;
use crate::api::{BUCKET_TAGS, NewBucket, check_tags, check_targets, create_bucket, delete_bucket, reconfigure};
use crate::caller::Caller;
use crate::core::Core;
use crate::error::{ACCESS_DENIED, BUCKET_ALREADY_OWNED, Error, NO_SUCH_BUCKET};
use crate::meta::{OwnershipControls, PublicAccessBlock, Settings, Tags, buckets};
use crate::names::check_bucket;
use crate::notify::config::Filter;
use crate::notify::{Notification, Target, bucket_arn};
use async_trait::async_trait;
use barge_core::resource::{
    Creation, Properties, PropertyType, Reading, Resource, ResourceProvider, ResourceSchema, property,
};
use barge_core::{AwsError, Context, Document, IdSource as _, Scope};
use std::collections::BTreeMap;
use std::sync::Arc;

const SCHEMA: ResourceSchema = ResourceSchema {
    type_name: "AWS::S3::Bucket",
    properties: &[
        property("AccessControl", PropertyType::String),
        property("BucketEncryption", PropertyType::Map),
        property("BucketName", PropertyType::String).identifies(),
        property("NotificationConfiguration", PropertyType::Map),
        property("OwnershipControls", PropertyType::Map),
        property("PublicAccessBlockConfiguration", PropertyType::Map),
        property("Tags", PropertyType::List),
        property("VersioningConfiguration", PropertyType::Map),
    ],
    attributes: &["Arn", "DomainName", "DualStackDomainName", "RegionalDomainName"],
};

/// A bucket's name may have so many characters.
const LONGEST_NAME: usize = 63;

pub(super) struct BucketProvider {
    pub(super) core: Arc<Core>,
}

/// What a template says of a bucket.
struct Wanted {
    name: Option<String>,
    tags: Tags,
    notification: Notification,
    public_access_block: PublicAccessBlock,
    ownership_controls: OwnershipControls,
}

impl Wanted {
    /// `token` decides the ids of notification configurations.
    fn read(properties: &Properties, token: &str) -> Result<Self, AwsError> {
        let mut members = Members::of("", properties)?;
        let wanted = Self {
            name: members.text("BucketName")?,
            tags: tags(members.list("Tags")?)?,
            notification: match members.members("NotificationConfiguration")? {
                Some(configuration) => notification(configuration, token)?,
                None => Notification::default(),
            },
            public_access_block: match members.members("PublicAccessBlockConfiguration")? {
                Some(configuration) => public_access_block(configuration)?,
                None => PublicAccessBlock::ALL,
            },
            ownership_controls: match members.members("OwnershipControls")? {
                Some(controls) => ownership_controls(controls)?,
                None => OwnershipControls::BucketOwnerEnforced,
            },
        };
        refuse_what_is_not_the_default(&mut members)?;
        members.finish()?;
        Ok(wanted)
    }

    fn apply(self, settings: &mut Settings) {
        settings.tags = self.tags;
        settings.notification = self.notification;
        settings.public_access_block = Some(self.public_access_block);
        settings.ownership_controls = self.ownership_controls;
    }
}

/// Properties of which Barge has what every new bucket has on AWS, and nothing else: no grants, encryption with S3's own
/// keys by name, no versions.
fn refuse_what_is_not_the_default(members: &mut Members<'_>) -> Result<(), AwsError> {
    let refused = |what: &str| Err(AwsError::validation(format!("Property {what} is not supported by Barge.")));
    if let Some(grant) = members.text("AccessControl")?.filter(|grant| grant != "Private") {
        return refused(&format!("AccessControl: {grant} (only Private)"));
    }
    if let Some(mut versioning) = members.members("VersioningConfiguration")? {
        let status = versioning.required_text("Status")?;
        versioning.finish()?;
        if status != "Suspended" {
            return refused(&format!("VersioningConfiguration: {status} (only Suspended)"));
        }
    }
    let Some(mut encryption) = members.members("BucketEncryption")? else { return Ok(()) };
    let path = encryption.path("ServerSideEncryptionConfiguration");
    for (at, rule) in encryption.list("ServerSideEncryptionConfiguration")?.iter().enumerate() {
        let mut rule = Members::of(&format!("{path}/{at}"), rule)?;
        // Bucket keys are an economy of KMS.
        rule.boolean("BucketKeyEnabled")?;
        if let Some(mut default) = rule.members("ServerSideEncryptionByDefault")? {
            let algorithm = default.required_text("SSEAlgorithm")?;
            default.finish()?;
            if algorithm != "AES256" {
                return refused(&format!("BucketEncryption with {algorithm} (only AES256)"));
            }
        }
        rule.finish()?;
    }
    encryption.finish()
}

fn tags(list: &[Document]) -> Result<Tags, AwsError> {
    let mut tags = BTreeMap::new();
    for (at, tag) in list.iter().enumerate() {
        let mut members = Members::of(&format!("Tags/{at}"), tag)?;
        tags.insert(members.required_text("Key")?, members.required_text("Value")?);
        members.finish()?;
    }
    check_tags(&tags, BUCKET_TAGS)?;
    Ok(tags)
}

fn notification(mut members: Members<'_>, token: &str) -> Result<Notification, AwsError> {
    let path = members.path("LambdaConfigurations");
    // Ids follow from the creation, so that a repeated one changes nothing.
    let ids = barge_core::ids::SeededIds::new(token.as_bytes());
    let target = |(at, document): (usize, &Document)| {
        let mut members = Members::of(&format!("{path}/{at}"), document)?;
        let target = Target {
            id: ids.uuid(),
            function: members
                .required_text("Function")?
                .parse()
                .map_err(|error| AwsError::validation(format!("Property {path}/{at}/Function: {error}")))?,
            events: vec![members.required_text("Event")?],
            filter: match members.members("Filter")? {
                Some(filter) => self::filter(filter)?,
                None => Filter::default(),
            },
        };
        members.finish()?;
        Ok::<_, AwsError>(target)
    };
    let targets = members.list("LambdaConfigurations")?.iter().enumerate().map(target).collect::<Result<_, _>>()?;
    let event_bridge = match members.members("EventBridgeConfiguration")? {
        Some(mut bridge) => {
            let enabled = bridge.boolean("EventBridgeEnabled")?.unwrap_or(true);
            bridge.finish()?;
            enabled
        }
        None => false,
    };
    members.finish()?;
    Ok(Notification { targets, event_bridge })
}

fn filter(mut members: Members<'_>) -> Result<Filter, AwsError> {
    let mut rules = Vec::new();
    if let Some(mut key) = members.members("S3Key")? {
        let path = key.path("Rules");
        for (at, rule) in key.list("Rules")?.iter().enumerate() {
            let mut rule = Members::of(&format!("{path}/{at}"), rule)?;
            rules.push((rule.required_text("Name")?, rule.required_text("Value")?));
            rule.finish()?;
        }
        key.finish()?;
    }
    members.finish()?;
    Ok(Filter::from_rules(rules)?)
}

fn public_access_block(mut members: Members<'_>) -> Result<PublicAccessBlock, AwsError> {
    let block = PublicAccessBlock {
        block_public_acls: members.boolean("BlockPublicAcls")?.unwrap_or(false),
        ignore_public_acls: members.boolean("IgnorePublicAcls")?.unwrap_or(false),
        block_public_policy: members.boolean("BlockPublicPolicy")?.unwrap_or(false),
        restrict_public_buckets: members.boolean("RestrictPublicBuckets")?.unwrap_or(false),
    };
    members.finish()?;
    Ok(block)
}

fn ownership_controls(mut members: Members<'_>) -> Result<OwnershipControls, AwsError> {
    for (at, rule) in members.list("Rules")?.iter().enumerate() {
        let mut rule = Members::of(&format!("OwnershipControls/Rules/{at}"), rule)?;
        if rule.required_text("ObjectOwnership")? != "BucketOwnerEnforced" {
            let message = "Barge does not implement an ObjectOwnership other than BucketOwnerEnforced";
            return Err(AwsError::validation(message));
        }
        rule.finish()?;
    }
    members.finish()?;
    Ok(OwnershipControls::BucketOwnerEnforced)
}

fn resource(name: &str, scope: &Scope) -> Resource {
    let region = &scope.region;
    let attributes = [
        ("Arn", bucket_arn(name).to_string()),
        ("DomainName", format!("{name}.s3.amazonaws.com")),
        ("DualStackDomainName", format!("{name}.s3.dualstack.{region}.amazonaws.com")),
        ("RegionalDomainName", format!("{name}.s3.{region}.amazonaws.com")),
    ];
    Resource {
        physical_id: name.to_owned(),
        attributes: attributes.into_iter().map(|(key, value)| (key.to_owned(), value.into())).collect(),
    }
}

impl BucketProvider {
    async fn check(&self, wanted: &Wanted, name: &str, scope: &Scope) -> Result<(), AwsError> {
        wanted.notification.check(scope)?;
        Ok(check_targets(&self.core, &wanted.notification, name, scope).await?)
    }

    /// The token of the creation that made the bucket, where it is there and the caller's.
    async fn made_by(&self, cx: &Context, name: &str) -> Result<Option<String>, AwsError> {
        let (caller, name) = (Caller::of(cx), name.to_owned());
        let found = self.core.read(move |connection| match caller.bucket_anywhere(connection, &name) {
            Err(error) if error.is(&NO_SUCH_BUCKET) => Ok(None),
            result => result.map(|bucket| bucket.settings.creation),
        });
        Ok(found.await?)
    }
}

#[async_trait]
impl ResourceProvider for BucketProvider {
    fn schema(&self) -> &ResourceSchema {
        &SCHEMA
    }

    async fn create(&self, cx: &Context, creation: &Creation) -> Result<Resource, AwsError> {
        let mut wanted = Wanted::read(&creation.properties, &creation.token)?;
        wanted.tags.extend(creation.tags.clone().into_iter().filter(|(key, _)| !key.starts_with("aws:")));
        let generated = || creation.physical_name(LONGEST_NAME).to_lowercase();
        let name = wanted.name.clone().unwrap_or_else(generated);
        check_bucket(&name)?;
        self.check(&wanted, &name, &cx.scope).await?;
        let mut new = NewBucket::new(name.clone(), cx.scope.clone());
        new.settings.creation = Some(creation.token.clone());
        wanted.apply(&mut new.settings);
        match create_bucket(&self.core, new).await {
            Err(error) if error.is(&BUCKET_ALREADY_OWNED) => {
                if self.made_by(cx, &name).await?.as_deref() != Some(creation.token.as_str()) {
                    return Err(AwsError::new("AlreadyExists", 409, format!("{name} already exists")));
                }
            }
            result => result?,
        }
        Ok(resource(&name, &cx.scope))
    }

    async fn update(
        &self,
        cx: &Context,
        physical_id: &str,
        _old: &Properties,
        new: &Creation,
    ) -> Result<Resource, AwsError> {
        let mut wanted = Wanted::read(&new.properties, &new.token)?;
        wanted.tags.extend(new.tags.clone().into_iter().filter(|(key, _)| !key.starts_with("aws:")));
        self.check(&wanted, physical_id, &cx.scope).await?;
        let change = |settings: &mut Settings| wanted.apply(settings);
        reconfigure(&self.core, Caller::of(cx), physical_id.to_owned(), change).await?;
        Ok(resource(physical_id, &cx.scope))
    }

    async fn delete(&self, cx: &Context, physical_id: &str, _properties: &Properties) -> Result<(), AwsError> {
        match delete_bucket(&self.core, Caller::of(cx), physical_id.to_owned(), None).await {
            Err(error) if error.is(&NO_SUCH_BUCKET) => Ok(()),
            result => Ok(result?),
        }
    }

    async fn read(
        &self,
        cx: &Context,
        physical_id: &str,
        _properties: &Properties,
    ) -> Result<Option<Reading>, AwsError> {
        let (name, scope) = (physical_id.to_owned(), cx.scope.clone());
        let found = self.core.read(move |connection| match buckets::find(connection, &name)? {
            Some(bucket) if bucket.scope.account != scope.account => Err(Error::from(ACCESS_DENIED)),
            found => Ok(found.map(|bucket| Reading::presence(resource(&bucket.name, &bucket.scope)))),
        });
        Ok(found.await?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Result<Wanted, AwsError> {
        Wanted::read(&Document::from_json(json.as_bytes()).unwrap(), "token")
    }

    #[test]
    fn a_templates_bucket() {
        let wanted = read(
            r#"{"BucketName":"b","Tags":[{"Key":"k","Value":1}],
                "NotificationConfiguration":{
                  "LambdaConfigurations":[{"Event":"s3:ObjectCreated:*","Function":"arn:aws:lambda:us-east-1:000000000000:function:f",
                    "Filter":{"S3Key":{"Rules":[{"Name":"suffix","Value":".csv"}]}}}],
                  "EventBridgeConfiguration":{"EventBridgeEnabled":"true"}}}"#,
        )
        .unwrap();
        assert_eq!(wanted.name.as_deref(), Some("b"));
        assert_eq!(wanted.tags, Tags::from([("k".into(), "1".into())]));
        assert!(wanted.notification.event_bridge);
        let target = &wanted.notification.targets[0];
        assert_eq!((target.events[0].as_str(), target.filter.suffix.as_str()), ("s3:ObjectCreated:*", ".csv"));
        assert_eq!(wanted.public_access_block, PublicAccessBlock::ALL);
        assert_eq!(read("{}").unwrap().notification, Notification::default());
    }

    #[test]
    fn what_a_template_may_not_say() {
        for (json, word) in [
            (r#"{"VersioningConfiguration":{"Status":"Enabled"}}"#, "VersioningConfiguration"),
            (r#"{"NotificationConfiguration":{"QueueConfigurations":[]}}"#, "QueueConfigurations"),
            (r#"{"NotificationConfiguration":{"LambdaConfigurations":[{"Event":"e"}]}}"#, "Function"),
            (r#"{"Tags":{"k":"v"}}"#, "Tags"),
            (r#"{"OwnershipControls":{"Rules":[{"ObjectOwnership":"ObjectWriter"}]}}"#, "ObjectOwnership"),
        ] {
            let error = read(json).err().unwrap();
            assert!(error.message.contains(word), "{error}");
        }
    }
}
