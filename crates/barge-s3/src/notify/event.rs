//! What a notification says: AWS's event JSON for functions (Amazon S3 User Guide, "Event message structure") and the
//! event for EventBridge ("EventBridge event message structure").

use super::outbox::{BridgeEvent, Delivery};
use crate::caller::Caller;
use crate::core::{Changes, Core};
use crate::error::Result;
use crate::meta::{Bucket, Marker, Object, Version, next_sequence};
use barge_core::{Principal, Timestamp};
use barge_store::rusqlite::Transaction;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Serialize;

/// Something that happened to an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Occurrence {
    Put,
    Post,
    Copy,
    CompleteMultipartUpload,
    Delete,
    DeleteMarkerCreated,
    LifecycleDelete,
    LifecycleDeleteMarkerCreated,
    TagsPut,
    TagsDeleted,
}

impl Occurrence {
    /// As in the event's `eventName`.
    fn name(self) -> &'static str {
        match self {
            Self::Put => "ObjectCreated:Put",
            Self::Post => "ObjectCreated:Post",
            Self::Copy => "ObjectCreated:Copy",
            Self::CompleteMultipartUpload => "ObjectCreated:CompleteMultipartUpload",
            Self::Delete => "ObjectRemoved:Delete",
            Self::DeleteMarkerCreated => "ObjectRemoved:DeleteMarkerCreated",
            Self::LifecycleDelete => "LifecycleExpiration:Delete",
            Self::LifecycleDeleteMarkerCreated => "LifecycleExpiration:DeleteMarkerCreated",
            Self::TagsPut => "ObjectTagging:Put",
            Self::TagsDeleted => "ObjectTagging:Delete",
        }
    }

    fn detail_type(self) -> &'static str {
        match self {
            Self::Put | Self::Post | Self::Copy | Self::CompleteMultipartUpload => "Object Created",
            Self::Delete | Self::DeleteMarkerCreated | Self::LifecycleDelete | Self::LifecycleDeleteMarkerCreated => {
                "Object Deleted"
            }
            Self::TagsPut => "Object Tags Added",
            Self::TagsDeleted => "Object Tags Deleted",
        }
    }

    /// The operation behind it, as EventBridge's `reason` names it.
    fn reason(self) -> Option<&'static str> {
        match self {
            Self::Put => Some("PutObject"),
            Self::Post => Some("POST Object"),
            Self::Copy => Some("CopyObject"),
            Self::CompleteMultipartUpload => Some("CompleteMultipartUpload"),
            Self::Delete | Self::DeleteMarkerCreated => Some("DeleteObject"),
            Self::LifecycleDelete | Self::LifecycleDeleteMarkerCreated => Some("Lifecycle Expiration"),
            Self::TagsPut | Self::TagsDeleted => None,
        }
    }

    /// How much is gone, as EventBridge's `deletion-type` says it.
    fn deletion_type(self) -> Option<&'static str> {
        match self {
            Self::Delete | Self::LifecycleDelete => Some("Permanently Deleted"),
            Self::DeleteMarkerCreated | Self::LifecycleDeleteMarkerCreated => Some("Delete Marker Created"),
            _ => None,
        }
    }
}

/// The object as events show it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Subject<'a> {
    pub(crate) key: &'a str,
    pub(crate) version: &'a Version,
    pub(crate) size: Option<u64>,
    pub(crate) etag: Option<&'a str>,
}

/// The entity tag of nothing, which delete markers have in events.
const EMPTY: &str = "d41d8cd98f00b204e9800998ecf8427e";

impl<'a> Subject<'a> {
    /// An object that is there.
    pub(crate) fn object(object: &'a Object) -> Self {
        let (size, etag) = (Some(object.size), Some(object.etag.as_str()));
        Self { key: &object.key, version: &object.version, size, etag }
    }

    /// A version that is gone.
    pub(crate) fn gone(key: &'a str, version: &'a Version) -> Self {
        Self { key, version, size: None, etag: None }
    }

    /// A delete marker that is there.
    pub(crate) fn marker(marker: &'a Marker) -> Self {
        Self { key: &marker.key, version: &marker.version, size: None, etag: Some(EMPTY) }
    }
}

/// Puts what happened into the outbox, for everyone whom the bucket is configured to tell.
pub(crate) fn record(
    core: &Core,
    tx: &Transaction<'_>,
    changes: &mut Changes,
    bucket: &Bucket,
    caller: &Caller,
    occurrence: Occurrence,
    subject: Subject<'_>,
) -> Result<()> {
    let notification = &bucket.settings.notification;
    let wanted = format!("s3:{}", occurrence.name());
    let targets: Vec<_> = notification.targets.iter().filter(|target| target.wants(&wanted, subject.key)).collect();
    let bridged = notification.event_bridge && core.events.is_some();
    if targets.is_empty() && !bridged {
        return Ok(());
    }
    let now = core.now();
    let sequencer = format!("{:018X}", next_sequence(tx)?);
    for target in targets {
        let payload = message(bucket, caller, occurrence, subject, &target.id, &sequencer, now);
        let delivery = Delivery::Function {
            function: target.function.clone(),
            bucket: bucket.name.clone(),
            account: bucket.scope.account.clone(),
            payload: serde_json::to_string(&payload)?,
        };
        changes.notify(tx, &delivery, now)?;
    }
    if bridged {
        let detail = detail(bucket, caller, occurrence, subject, &sequencer);
        let event = BridgeEvent {
            id: core.ambient.ids.uuid(),
            detail_type: occurrence.detail_type().to_owned(),
            scope: bucket.scope.clone(),
            time: now,
            resource: bucket.arn().to_string(),
            detail: serde_json::to_string(&detail)?,
        };
        changes.notify(tx, &Delivery::Bridge(event), now)?;
    }
    Ok(())
}

/// Who acted, as events name it.
fn principal_id(principal: &Principal) -> String {
    match principal {
        Principal::Root { account } => account.to_string(),
        Principal::User { user_id, .. } | Principal::AssumedRole { user_id, .. } => format!("AWS:{user_id}"),
        Principal::Service(name) => name.clone(),
    }
}

/// A key as it stands in events: URL-encoded, spaces as `+`.
fn encode_key(key: &str) -> String {
    const KEPT: &AsciiSet =
        &NON_ALPHANUMERIC.remove(b'.').remove(b'-').remove(b'*').remove(b'_').remove(b'/').remove(b' ');
    utf8_percent_encode(key, KEPT).to_string().replace(' ', "+")
}

fn message(
    bucket: &Bucket,
    caller: &Caller,
    occurrence: Occurrence,
    subject: Subject<'_>,
    configuration: &str,
    sequencer: &str,
    now: Timestamp,
) -> Message {
    let record = Record {
        event_version: "2.1",
        event_source: "aws:s3",
        aws_region: bucket.scope.region.to_string(),
        event_time: now.iso8601(),
        event_name: occurrence.name(),
        user_identity: Identity { principal_id: principal_id(&caller.principal) },
        request_parameters: RequestParameters { source_ip_address: caller.address.clone() },
        response_elements: ResponseElements { request_id: caller.request_id.clone(), id_2: caller.host_id() },
        s3: Entity {
            s3_schema_version: "1.0",
            configuration_id: configuration.to_owned(),
            bucket: BucketEntity {
                name: bucket.name.clone(),
                owner_identity: Identity { principal_id: bucket.scope.account.to_string() },
                arn: bucket.arn().to_string(),
            },
            object: ObjectEntity {
                key: encode_key(subject.key),
                size: subject.size,
                e_tag: subject.etag.map(str::to_owned),
                version_id: subject.version.id.clone(),
                sequencer: sequencer.to_owned(),
            },
        },
    };
    Message { records: vec![record] }
}

fn detail(
    bucket: &Bucket,
    caller: &Caller,
    occurrence: Occurrence,
    subject: Subject<'_>,
    sequencer: &str,
) -> BridgeDetail {
    BridgeDetail {
        version: "0",
        bucket: BridgeBucket { name: bucket.name.clone() },
        object: BridgeObject {
            key: subject.key.to_owned(),
            size: subject.size,
            etag: subject.etag.map(str::to_owned),
            version_id: subject.version.id.clone(),
            sequencer: sequencer.to_owned(),
        },
        request_id: caller.request_id.clone(),
        requester: match &caller.principal {
            Principal::Service(name) => name.clone(),
            _ => caller.scope.account.to_string(),
        },
        source_ip_address: caller.address.clone(),
        reason: occurrence.reason(),
        deletion_type: occurrence.deletion_type(),
    }
}

#[derive(Serialize)]
struct Message {
    #[serde(rename = "Records")]
    records: Vec<Record>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Record {
    event_version: &'static str,
    event_source: &'static str,
    aws_region: String,
    event_time: String,
    event_name: &'static str,
    user_identity: Identity,
    request_parameters: RequestParameters,
    response_elements: ResponseElements,
    s3: Entity,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Identity {
    principal_id: String,
}

#[derive(Serialize)]
struct RequestParameters {
    #[serde(rename = "sourceIPAddress")]
    source_ip_address: String,
}

#[derive(Serialize)]
struct ResponseElements {
    #[serde(rename = "x-amz-request-id")]
    request_id: String,
    #[serde(rename = "x-amz-id-2")]
    id_2: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Entity {
    s3_schema_version: &'static str,
    configuration_id: String,
    bucket: BucketEntity,
    object: ObjectEntity,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct BucketEntity {
    name: String,
    owner_identity: Identity,
    arn: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ObjectEntity {
    key: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    size: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    e_tag: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    version_id: Option<String>,
    sequencer: String,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct BridgeDetail {
    version: &'static str,
    bucket: BridgeBucket,
    object: BridgeObject,
    request_id: String,
    requester: String,
    source_ip_address: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    deletion_type: Option<&'static str>,
}

#[derive(Serialize)]
struct BridgeBucket {
    name: String,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct BridgeObject {
    key: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    size: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    etag: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    version_id: Option<String>,
    sequencer: String,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::meta::Settings;
    use barge_core::Scope;

    fn bucket() -> Bucket {
        let scope = Scope::default();
        Bucket { id: 1, name: "b".into(), scope, created: Timestamp::default(), settings: Settings::default() }
    }

    fn caller() -> Caller {
        let scope = Scope::default();
        Caller {
            principal: Principal::Root { account: scope.account.clone() },
            scope,
            aim: crate::caller::Aim::Region,
            request_id: "R".into(),
            address: "127.0.0.1".into(),
        }
    }

    #[test]
    fn a_message_is_aws_json() {
        let null = Version::default();
        let subject = Subject { key: "in put/é+.csv", version: &null, size: Some(3), etag: Some("e") };
        let message = message(&bucket(), &caller(), Occurrence::Put, subject, "c", "01", Timestamp::from_millis(1));
        let expected = concat!(
            r#"{"Records":[{"eventVersion":"2.1","eventSource":"aws:s3","awsRegion":"us-east-1","#,
            r#""eventTime":"1970-01-01T00:00:00.001Z","eventName":"ObjectCreated:Put","#,
            r#""userIdentity":{"principalId":"000000000000"},"requestParameters":{"sourceIPAddress":"127.0.0.1"},"#,
            r#""responseElements":{"x-amz-request-id":"R","x-amz-id-2":"HOST"},"#,
            r#""s3":{"s3SchemaVersion":"1.0","configurationId":"c","bucket":{"name":"b","#,
            r#""ownerIdentity":{"principalId":"000000000000"},"arn":"arn:aws:s3:::b"},"#,
            r#""object":{"key":"in+put/%C3%A9%2B.csv","size":3,"eTag":"e","sequencer":"01"}}}]}"#
        );
        let expected = expected.replace("HOST", &caller().host_id());
        assert_eq!(serde_json::to_string(&message).unwrap(), expected);
    }

    #[test]
    fn a_deletion_has_no_size() {
        let null = Version::default();
        let subject = Subject::gone("k", &null);
        let message = message(&bucket(), &caller(), Occurrence::Delete, subject, "c", "02", Timestamp::default());
        let text = serde_json::to_string(&message).unwrap();
        assert!(
            text.contains(r#""eventName":"ObjectRemoved:Delete""#)
                && text.contains(r#""object":{"key":"k","sequencer":"02"}"#),
            "{text}"
        );
    }

    #[test]
    fn a_delete_marker_has_the_entity_tag_of_nothing_and_its_version() {
        let version = Version { sequence: 1, id: Some("v1".into()) };
        let marker = Marker { key: "k".into(), version, modified: Timestamp::default() };
        let (subject, occurrence) = (Subject::marker(&marker), Occurrence::DeleteMarkerCreated);
        let message = message(&bucket(), &caller(), occurrence, subject, "c", "02", Timestamp::default());
        let text = serde_json::to_string(&message).unwrap();
        let object = format!(r#""object":{{"key":"k","eTag":"{EMPTY}","versionId":"v1","sequencer":"02"}}"#);
        assert!(
            text.contains(r#""eventName":"ObjectRemoved:DeleteMarkerCreated""#) && text.contains(&object),
            "{text}"
        );
        let detail = serde_json::to_string(&detail(&bucket(), &caller(), occurrence, subject, "02")).unwrap();
        let object = format!(r#""object":{{"key":"k","etag":"{EMPTY}","version-id":"v1","sequencer":"02"}}"#);
        let kind = r#""reason":"DeleteObject","deletion-type":"Delete Marker Created""#;
        assert!(detail.contains(&object) && detail.contains(kind), "{detail}");
    }

    #[test]
    fn eventbridge_hears_of_the_key_as_it_is() {
        let null = Version::default();
        let subject = Subject { key: "a b", version: &null, size: Some(1), etag: Some("e") };
        let detail = detail(&bucket(), &caller(), Occurrence::CompleteMultipartUpload, subject, "03");
        assert_eq!(
            serde_json::to_string(&detail).unwrap(),
            concat!(
                r#"{"version":"0","bucket":{"name":"b"},"object":{"key":"a b","size":1,"etag":"e","sequencer":"03"},"#,
                r#""request-id":"R","requester":"000000000000","source-ip-address":"127.0.0.1","#,
                r#""reason":"CompleteMultipartUpload"}"#
            )
        );
    }
}
