//! What an S3 event says was uploaded. Pure.
//!
//! Source: Amazon S3 User Guide, "Event message structure". Only the members that matter here are read, so that an
//! event written by hand can be as short.

use percent_encoding::percent_decode_str;
use serde::Deserialize;

/// Where the loader leaves rejected rows. They are no input, or a bad file would go round for ever.
const REJECTED: &str = "rejected/";

/// A file that has been uploaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Upload {
    /// The bucket's name.
    pub(crate) bucket: String,
    /// The object's key, decoded.
    pub(crate) key: String,
    /// The object's size in bytes.
    pub(crate) size: u64,
}

/// An event that can't be understood.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum EventError {
    /// It has not the members of an S3 event.
    #[error("not an S3 event: {0}")]
    Malformed(String),
    /// The decoded key isn't text.
    #[error("the key {0} is not UTF-8")]
    Key(String),
}

#[derive(Deserialize)]
struct Event {
    #[serde(rename = "Records", default)]
    records: Vec<EventRecord>,
}

#[derive(Deserialize)]
struct EventRecord {
    #[serde(rename = "eventName", default)]
    event_name: String,
    s3: Entity,
}

#[derive(Deserialize)]
struct Entity {
    bucket: BucketEntity,
    object: ObjectEntity,
}

#[derive(Deserialize)]
struct BucketEntity {
    name: String,
}

#[derive(Deserialize)]
struct ObjectEntity {
    key: String,
    #[serde(default)]
    size: u64,
}

/// The `.csv` files that an event reports as created, but for those under `rejected/`. S3's test event has none.
pub(crate) fn uploads(event: serde_json::Value) -> Result<Vec<Upload>, EventError> {
    let event: Event = serde_json::from_value(event).map_err(|error| EventError::Malformed(error.to_string()))?;
    let mut uploads = Vec::new();
    for record in event.records {
        let created = record.event_name.trim_start_matches("s3:").starts_with("ObjectCreated:");
        let upload =
            Upload { bucket: record.s3.bucket.name, key: decode(&record.s3.object.key)?, size: record.s3.object.size };
        if created && is_input(&upload.key) {
            uploads.push(upload);
        }
    }
    Ok(uploads)
}

#[expect(clippy::case_sensitive_file_extension_comparisons, reason = "keys are case-sensitive, and so is S3's filter")]
fn is_input(key: &str) -> bool {
    key.ends_with(".csv") && !key.starts_with(REJECTED)
}

/// Keys come as in a form: `+` for a space, the rest percent-encoded.
fn decode(key: &str) -> Result<String, EventError> {
    let spaced = key.replace('+', " ");
    let decoded = percent_decode_str(&spaced).decode_utf8();
    decoded.map(std::borrow::Cow::into_owned).map_err(|_| EventError::Key(key.to_owned()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn record(name: &str, key: &str) -> serde_json::Value {
        json!({
            "eventVersion": "2.1", "eventSource": "aws:s3", "awsRegion": "us-east-1", "eventName": name,
            "s3": {"bucket": {"name": "in", "arn": "arn:aws:s3:::in"}, "object": {"key": key, "size": 5, "eTag": "e"}},
        })
    }

    fn keys(records: &[serde_json::Value]) -> Vec<String> {
        uploads(json!({ "Records": records })).unwrap().into_iter().map(|upload| upload.key).collect()
    }

    #[test]
    fn each_csv_file_created_is_an_upload() {
        let upload = Upload { bucket: "in".to_owned(), key: "a.csv".to_owned(), size: 5 };
        assert_eq!(uploads(json!({"Records": [record("ObjectCreated:Put", "a.csv")]})), Ok(vec![upload]));
        let two = [record("ObjectCreated:Put", "a.csv"), record("ObjectCreated:CompleteMultipartUpload", "b.csv")];
        assert_eq!(keys(&two), ["a.csv", "b.csv"]);
    }

    #[test]
    fn keys_are_url_decoded() {
        assert_eq!(keys(&[record("ObjectCreated:Put", "in/my+file%2B1+%C3%A9.csv")]), ["in/my file+1 é.csv"]);
        let broken = uploads(json!({"Records": [record("ObjectCreated:Put", "%FF.csv")]}));
        assert_eq!(broken, Err(EventError::Key("%FF.csv".to_owned())));
    }

    #[test]
    fn the_loaders_own_output_and_other_files_are_none() {
        let others = [
            record("ObjectCreated:Put", "rejected/a.csv"),
            record("ObjectCreated:Put", "rejected%2Fa.csv"),
            record("ObjectCreated:Put", "a.txt"),
            record("ObjectRemoved:Delete", "a.csv"),
        ];
        assert_eq!(keys(&others), Vec::<String>::new());
        assert_eq!(keys(&[record("ObjectCreated:Put", "in/rejected/a.csv")]), ["in/rejected/a.csv"]);
    }

    #[test]
    fn the_test_event_has_no_uploads_and_nonsense_is_refused() {
        assert_eq!(uploads(json!({"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": "in"})), Ok(Vec::new()));
        assert!(matches!(uploads(json!({"Records": [{}]})), Err(EventError::Malformed(_))));
        assert!(matches!(uploads(json!("hello")), Err(EventError::Malformed(_))));
    }
}
