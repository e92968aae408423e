//! What a template says of a bucket, and a bucket's settings as a template would say them (CloudFormation User Guide,
//! "AWS::S3::Bucket"). One file for each property of some size.

mod cors;
mod encryption;
mod lifecycle;
mod notification;

use super::properties::Members;
use crate::api::{BUCKET_TAGS, check_tags};
use crate::cors::CorsRule;
use crate::encryption::Encryption;
use crate::lifecycle::Rule;
use crate::meta::{OwnershipControls, PublicAccessBlock, Settings, Tags, Versioning};
use crate::notify::Notification;
use barge_core::resource::Properties;
use barge_core::{AwsError, Document};
use std::collections::BTreeMap;

/// What a template says of a bucket.
pub(super) struct Wanted {
    pub(super) name: Option<String>,
    pub(super) tags: Tags,
    pub(super) notification: Notification,
    public_access_block: PublicAccessBlock,
    ownership_controls: OwnershipControls,
    versioning: Option<Versioning>,
    pub(super) lifecycle: Vec<Rule>,
    encryption: Option<Encryption>,
    cors: Vec<CorsRule>,
}

impl Wanted {
    /// `token` decides the ids that a template leaves out.
    pub(super) fn read(properties: &Properties, token: &str) -> Result<Self, AwsError> {
        let mut members = Members::of("", properties)?;
        let wanted = Self {
            name: members.text("BucketName")?,
            tags: tags(members.list("Tags")?)?,
            notification: match members.members("NotificationConfiguration")? {
                Some(configuration) => notification::read(configuration, token)?,
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
            versioning: members.members("VersioningConfiguration")?.map(versioning).transpose()?,
            lifecycle: match members.members("LifecycleConfiguration")? {
                Some(configuration) => lifecycle::read(configuration, token)?,
                None => Vec::new(),
            },
            encryption: members.members("BucketEncryption")?.map(encryption::read).transpose()?,
            cors: members.members("CorsConfiguration")?.map(cors::read).transpose()?.unwrap_or_default(),
        };
        // Of grants there is what every new bucket has on AWS: none.
        if let Some(grant) = members.text("AccessControl")?.filter(|grant| grant != "Private") {
            let message = format!("Property AccessControl: {grant} (only Private) is not supported by Barge.");
            return Err(AwsError::validation(message));
        }
        members.finish()?;
        Ok(wanted)
    }

    /// Makes the settings what the template says, and what it leaves out the default.
    pub(super) fn apply(self, settings: &mut Settings) {
        settings.tags = self.tags;
        settings.notification = self.notification;
        settings.public_access_block = Some(self.public_access_block);
        settings.ownership_controls = self.ownership_controls;
        settings.versioning = match (self.versioning, settings.versioning) {
            (Some(wanted), _) => wanted,
            (None, Versioning::Never) => Versioning::Never,
            (None, Versioning::Enabled | Versioning::Suspended) => Versioning::Suspended,
        };
        settings.lifecycle = self.lifecycle;
        settings.encryption = self.encryption;
        settings.cors = self.cors;
    }
}

/// The settings of the bucket `name` as a template would say them: only what is set.
fn properties(name: &str, settings: &Settings) -> Properties {
    let versioning = match settings.versioning {
        Versioning::Never => None,
        Versioning::Enabled => Some("Enabled"),
        Versioning::Suspended => Some("Suspended"),
    };
    let blocked = |block: PublicAccessBlock| {
        Document::map([
            ("BlockPublicAcls", block.block_public_acls.into()),
            ("IgnorePublicAcls", block.ignore_public_acls.into()),
            ("BlockPublicPolicy", block.block_public_policy.into()),
            ("RestrictPublicBuckets", block.restrict_public_buckets.into()),
        ])
    };
    let owned = || {
        let rule = Document::map([("ObjectOwnership", "BucketOwnerEnforced".into())]);
        Document::map([("Rules", Document::List(vec![rule]))])
    };
    let tag = |(key, value): (&String, &String)| {
        Document::map([("Key", key.as_str().into()), ("Value", value.as_str().into())])
    };
    given([
        ("BucketName", Some(name.into())),
        ("VersioningConfiguration", versioning.map(|status| Document::map([("Status", status.into())]))),
        ("LifecycleConfiguration", lifecycle::shown(&settings.lifecycle)),
        ("BucketEncryption", settings.encryption.as_ref().map(encryption::shown)),
        ("CorsConfiguration", cors::shown(&settings.cors)),
        ("NotificationConfiguration", notification::shown(&settings.notification)),
        ("PublicAccessBlockConfiguration", settings.public_access_block.map(blocked)),
        ("OwnershipControls", (settings.ownership_controls == OwnershipControls::BucketOwnerEnforced).then(owned)),
        ("Tags", list(settings.tags.iter().map(tag).collect())),
    ])
}

/// The same, with what is as the template `made` has it in the words of that template: rules can be written in several ways.
pub(super) fn as_written(name: &str, settings: &Settings, made: &Properties) -> Properties {
    let mut wanted = Settings::default();
    // A template whose bucket exists has been read before.
    if let Ok(read) = Wanted::read(made, settings.creation.as_deref().unwrap_or_default()) {
        read.apply(&mut wanted);
    }
    let (now, then) = (properties(name, settings), properties(name, &wanted));
    let written = |(member, value): (&String, &Document)| {
        let same = then.get(member) == Some(value);
        (member.clone(), made.get(member).filter(|_| same).unwrap_or(value).clone())
    };
    // No bucket here is anybody else's.
    let private = ("AccessControl".to_owned(), Document::from("Private"));
    Document::map(now.as_map().into_iter().flatten().map(written).chain([private]))
}

/// A structure of the members that are there.
fn given<'n>(members: impl IntoIterator<Item = (&'n str, Option<Document>)>) -> Document {
    Document::map(members.into_iter().filter_map(|(name, value)| Some((name, value?))))
}

/// A list, where anything is in it.
fn list(items: Vec<Document>) -> Option<Document> {
    (!items.is_empty()).then_some(Document::List(items))
}

fn versioning(mut members: Members<'_>) -> Result<Versioning, AwsError> {
    let status = members.required_text("Status")?;
    let path = members.path("Status");
    members.finish()?;
    match status.as_str() {
        "Enabled" => Ok(Versioning::Enabled),
        "Suspended" => Ok(Versioning::Suspended),
        _ => Err(AwsError::validation(format!("Property {path} must be Enabled or Suspended, not {status}"))),
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn document(json: &str) -> Document {
        Document::from_json(json.as_bytes()).unwrap()
    }

    fn read(json: &str) -> Result<Wanted, AwsError> {
        Wanted::read(&document(json), "token")
    }

    fn applied(json: &str) -> Settings {
        let mut settings = Settings::default();
        read(json).unwrap().apply(&mut settings);
        settings
    }

    /// Everything that a template can say of a bucket, the way that settings are shown.
    const WHOLE: &str = r#"{
        "BucketName": "b",
        "VersioningConfiguration": {"Status": "Enabled"},
        "LifecycleConfiguration": {"Rules": [
            {"Id": "CleanupOldVersions", "Status": "Enabled", "NoncurrentVersionExpiration": {"NoncurrentDays": 30}},
            {"Id": "AbortIncompleteMultipartUploads", "Status": "Enabled",
             "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 1}},
            {"Id": "all", "Status": "Disabled", "Prefix": "logs/", "TagFilters": [{"Key": "a", "Value": "1"}],
             "ObjectSizeGreaterThan": "10", "ObjectSizeLessThan": "20", "ExpirationInDays": 7,
             "NoncurrentVersionExpiration": {"NoncurrentDays": 30, "NewerNoncurrentVersions": 3}},
            {"Id": "date", "Status": "Enabled", "Prefix": "", "ExpirationDate": "2030-01-01T00:00:00.000Z"},
            {"Id": "markers", "Status": "Enabled", "ExpiredObjectDeleteMarker": true}
        ]},
        "BucketEncryption": {"ServerSideEncryptionConfiguration": [
            {"ServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": "alias/aws/s3"},
             "BucketKeyEnabled": true}
        ]},
        "CorsConfiguration": {"CorsRules": [
            {"Id": "page", "AllowedHeaders": ["*"], "AllowedMethods": ["GET", "PUT"],
             "AllowedOrigins": ["https://page.example"], "ExposedHeaders": ["ETag"], "MaxAge": 3000},
            {"AllowedMethods": ["GET"], "AllowedOrigins": ["*"]}
        ]},
        "NotificationConfiguration": {
            "LambdaConfigurations": [
                {"Event": "s3:ObjectCreated:*", "Function": "arn:aws:lambda:us-east-1:000000000000:function:f",
                 "Filter": {"S3Key": {"Rules": [{"Name": "prefix", "Value": "in/"}, {"Name": "suffix", "Value": ".csv"}]}}},
                {"Event": "s3:ObjectRemoved:*", "Function": "arn:aws:lambda:us-east-1:000000000000:function:f"}
            ],
            "EventBridgeConfiguration": {"EventBridgeEnabled": true}
        },
        "PublicAccessBlockConfiguration": {
            "BlockPublicAcls": true, "IgnorePublicAcls": false, "BlockPublicPolicy": true, "RestrictPublicBuckets": false
        },
        "OwnershipControls": {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]},
        "Tags": [{"Key": "k", "Value": "v"}]
    }"#;

    #[test]
    fn what_is_as_the_template_has_it_comes_back_in_its_words() {
        const OLDER: &str = r#"{"AccessControl": "Private", "LifecycleConfiguration": {"Rules": [
            {"Status": "Enabled", "NoncurrentVersionExpirationInDays": 3}]}}"#;
        let made = document(OLDER);
        let mut settings = applied(OLDER);
        settings.creation = Some("token".to_owned());
        let rules = |settings: &Settings| as_written("b", settings, &made).get("LifecycleConfiguration").cloned();
        assert_eq!(rules(&settings), made.get("LifecycleConfiguration").cloned());
        assert_eq!(as_written("b", &settings, &made).get("AccessControl"), Some(&"Private".into()));
        settings.lifecycle.clear();
        assert_eq!(rules(&settings), None);
    }

    #[test]
    fn a_templates_bucket_comes_back_as_it_was_said() {
        let whole = document(WHOLE);
        let settings = applied(WHOLE);
        assert_eq!(properties("b", &settings), whole);
        // And what came back makes the same bucket.
        let again = applied(&properties("b", &settings).to_json());
        assert_eq!(again, settings);
    }

    #[test]
    fn a_bucket_of_which_nothing_is_said() {
        let shown = properties("b", &applied("{}"));
        let names: Vec<&str> = shown.as_map().unwrap().keys().map(String::as_str).collect();
        assert_eq!(names, ["BucketName", "PublicAccessBlockConfiguration", "OwnershipControls"]);
        assert_eq!(applied("{}").public_access_block, Some(PublicAccessBlock::ALL));
    }

    #[test]
    fn versioning_that_is_no_longer_said_is_suspended() {
        let mut settings = applied(r#"{"VersioningConfiguration":{"Status":"Enabled"}}"#);
        assert_eq!(settings.versioning, Versioning::Enabled);
        read("{}").unwrap().apply(&mut settings);
        assert_eq!(settings.versioning, Versioning::Suspended);
        assert_eq!(applied("{}").versioning, Versioning::Never);
    }

    #[test]
    fn numbers_and_booleans_may_be_texts() {
        let wanted = read(
            r#"{"BucketName":"b","Tags":[{"Key":"k","Value":1}],
            "NotificationConfiguration":{"EventBridgeConfiguration":{"EventBridgeEnabled":"true"}}}"#,
        )
        .unwrap();
        assert_eq!(wanted.name.as_deref(), Some("b"));
        assert_eq!(wanted.tags, Tags::from([("k".into(), "1".into())]));
        assert!(wanted.notification.event_bridge);
    }

    #[test]
    fn what_a_template_may_not_say() {
        for (json, word) in [
            (r#"{"VersioningConfiguration":{"Status":"Perhaps"}}"#, "VersioningConfiguration/Status"),
            (r#"{"VersioningConfiguration":{}}"#, "VersioningConfiguration/Status"),
            (r#"{"AccessControl":"PublicRead"}"#, "AccessControl"),
            (r#"{"NotificationConfiguration":{"QueueConfigurations":[]}}"#, "QueueConfigurations"),
            (r#"{"NotificationConfiguration":{"LambdaConfigurations":[{"Event":"e"}]}}"#, "Function"),
            (r#"{"CorsConfiguration":{"CorsRules":[{"AllowedMethods":["PATCH"],"AllowedOrigins":["*"]}]}}"#, "PATCH"),
            (r#"{"CorsConfiguration":{"CorsRules":[{"AllowedMethods":"GET"}]}}"#, "AllowedMethods"),
            (r#"{"Tags":{"k":"v"}}"#, "Tags"),
            (r#"{"OwnershipControls":{"Rules":[{"ObjectOwnership":"ObjectWriter"}]}}"#, "ObjectOwnership"),
            (r#"{"WebsiteConfiguration":{}}"#, "WebsiteConfiguration"),
        ] {
            let error = read(json).err().unwrap();
            assert!(error.message.contains(word), "{error}");
        }
    }
}
