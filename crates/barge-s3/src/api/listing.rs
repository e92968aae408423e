//! ListObjects and ListObjectsV2.

use super::members::{checksum_algorithm, checksum_type};
use super::{Request, count, etag, timestamp};
use crate::caller::{Caller, canonical_id};
use crate::core::Core;
use crate::error::{INVALID_ARGUMENT, Result, not_implemented};
use crate::meta::listing::{self, After, Page, Query, Summary};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use s3s::dto::{
    CommonPrefix, EncodingType, ListObjectsInput, ListObjectsOutput, ListObjectsV2Input, ListObjectsV2Output, Object,
    OptionalObjectAttributesList, Owner,
};
use std::sync::Arc;

/// Entries that one page may have.
const MOST_ENTRIES: i32 = 1000;

/// How texts in an answer are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Encoding {
    Plain,
    Url,
}

impl Encoding {
    pub(super) fn of(given: Option<&EncodingType>) -> Result<Self> {
        match given.map(EncodingType::as_str) {
            None => Ok(Self::Plain),
            Some("url") => Ok(Self::Url),
            Some(_) => Err(INVALID_ARGUMENT.because("Invalid Encoding Method specified in Request")),
        }
    }

    pub(super) fn write(self, text: &str) -> String {
        const KEPT: &AsciiSet =
            &NON_ALPHANUMERIC.remove(b'.').remove(b'-').remove(b'*').remove(b'_').remove(b'/').remove(b' ');
        match self {
            Self::Plain => text.to_owned(),
            Self::Url => utf8_percent_encode(text, KEPT).to_string().replace(' ', "+"),
        }
    }
}

/// A limit such as MaxKeys as AWS applies it.
pub(super) fn limit(given: Option<i32>, name: &str) -> Result<i32> {
    match given {
        Some(given) if given < 0 => {
            Err(INVALID_ARGUMENT.because(format!("Argument {name} must be an integer between 0 and 2147483647")))
        }
        given => Ok(given.unwrap_or(MOST_ENTRIES).min(MOST_ENTRIES)),
    }
}

pub(super) fn check_optional(attributes: Option<&OptionalObjectAttributesList>) -> Result<()> {
    match attributes {
        Some(list) if !list.is_empty() => Err(not_implemented("the parameter OptionalObjectAttributes")),
        _ => Ok(()),
    }
}

async fn page(
    core: &Arc<Core>,
    caller: Caller,
    bucket: String,
    owner: Option<String>,
    query: Query,
) -> Result<Page<Summary>> {
    core.read(move |connection| {
        let bucket = caller.bucket(connection, &bucket)?;
        bucket.check_owner(owner.as_deref())?;
        listing::list(connection, bucket.id, &query)
    })
    .await
}

fn object(summary: Summary, encoding: Encoding, owner: Option<&Owner>) -> Object {
    Object {
        key: Some(encoding.write(&summary.key)),
        size: i64::try_from(summary.size).ok(),
        e_tag: Some(etag(&summary.etag)),
        last_modified: Some(timestamp(summary.modified)),
        storage_class: Some(summary.storage_class.into()),
        checksum_algorithm: Some(vec![checksum_algorithm(summary.checksum.algorithm)]),
        checksum_type: Some(checksum_type(summary.checksum.coverage)),
        owner: owner.cloned(),
        ..Object::default()
    }
}

pub(super) fn common_prefixes(prefixes: &[String], encoding: Encoding) -> Option<Vec<CommonPrefix>> {
    let list: Vec<_> = prefixes.iter().map(|prefix| CommonPrefix { prefix: Some(encoding.write(prefix)) }).collect();
    (!list.is_empty()).then_some(list)
}

pub(super) async fn list_objects(core: &Arc<Core>, request: Request<ListObjectsInput>) -> Result<ListObjectsOutput> {
    let Request { caller, input, .. } = request;
    check_optional(input.optional_object_attributes.as_ref())?;
    let encoding = Encoding::of(input.encoding_type.as_ref())?;
    let max_keys = limit(input.max_keys, "max-keys")?;
    let owner = Owner { id: Some(canonical_id(&caller.scope)), display_name: None };
    let marker = input.marker.clone().filter(|marker| !marker.is_empty());
    let query = Query {
        prefix: input.prefix.clone().unwrap_or_default(),
        delimiter: input.delimiter.clone().unwrap_or_default(),
        after: marker.map_or(After::Nothing, After::Key),
        limit: usize::try_from(max_keys).unwrap_or(0),
    };
    let page = page(core, caller, input.bucket.clone(), input.expected_bucket_owner, query).await?;
    let delimiter = input.delimiter.filter(|delimiter| !delimiter.is_empty());
    let next = page.next.as_ref().filter(|_| delimiter.is_some()).map(|next| match next {
        After::Key(text) | After::Version(text, _) | After::Prefix(text) => encoding.write(text),
        After::Nothing => String::new(),
    });
    Ok(ListObjectsOutput {
        name: Some(input.bucket),
        prefix: Some(encoding.write(&input.prefix.unwrap_or_default())),
        marker: Some(encoding.write(&input.marker.unwrap_or_default())),
        max_keys: Some(max_keys),
        is_truncated: Some(page.next.is_some()),
        next_marker: next,
        common_prefixes: common_prefixes(&page.prefixes, encoding),
        contents: Some(page.entries.into_iter().map(|summary| object(summary, encoding, Some(&owner))).collect()),
        delimiter: delimiter.map(|delimiter| encoding.write(&delimiter)),
        encoding_type: input.encoding_type,
        request_charged: None,
    })
}

/// Where a page begins, as a client carries it from one to the next.
fn token(after: &After) -> String {
    BASE64.encode(match after {
        After::Nothing => String::new(),
        After::Key(key) | After::Version(key, _) => format!("k{key}"),
        After::Prefix(prefix) => format!("p{prefix}"),
    })
}

fn after(token: &str) -> Result<After> {
    let text = BASE64.decode(token).ok().and_then(|raw| String::from_utf8(raw).ok()).unwrap_or_default();
    match (text.get(..1), text.get(1..)) {
        (Some("k"), Some(key)) => Ok(After::Key(key.to_owned())),
        (Some("p"), Some(prefix)) => Ok(After::Prefix(prefix.to_owned())),
        _ => Err(INVALID_ARGUMENT.because("The continuation token provided is incorrect")),
    }
}

pub(super) async fn list_objects_v2(
    core: &Arc<Core>,
    request: Request<ListObjectsV2Input>,
) -> Result<ListObjectsV2Output> {
    let Request { caller, input, .. } = request;
    check_optional(input.optional_object_attributes.as_ref())?;
    let encoding = Encoding::of(input.encoding_type.as_ref())?;
    let max_keys = limit(input.max_keys, "max-keys")?;
    let owner =
        (input.fetch_owner == Some(true)).then(|| Owner { id: Some(canonical_id(&caller.scope)), display_name: None });
    let start_after = input.start_after.clone().filter(|start| !start.is_empty());
    let begin = match &input.continuation_token {
        Some(token) => after(token)?,
        None => start_after.map_or(After::Nothing, After::Key),
    };
    let query = Query {
        prefix: input.prefix.clone().unwrap_or_default(),
        delimiter: input.delimiter.clone().unwrap_or_default(),
        after: begin,
        limit: usize::try_from(max_keys).unwrap_or(0),
    };
    let page = page(core, caller, input.bucket.clone(), input.expected_bucket_owner, query).await?;
    Ok(ListObjectsV2Output {
        name: Some(input.bucket),
        prefix: Some(encoding.write(&input.prefix.unwrap_or_default())),
        max_keys: Some(max_keys),
        key_count: Some(count(page.entries.len() + page.prefixes.len())),
        continuation_token: input.continuation_token,
        is_truncated: Some(page.next.is_some()),
        next_continuation_token: page.next.as_ref().map(token),
        common_prefixes: common_prefixes(&page.prefixes, encoding),
        contents: Some(page.entries.into_iter().map(|summary| object(summary, encoding, owner.as_ref())).collect()),
        delimiter: input.delimiter.filter(|text| !text.is_empty()).map(|text| encoding.write(&text)),
        encoding_type: input.encoding_type,
        start_after: input.start_after.map(|text| encoding.write(&text)),
        request_charged: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_round_trip() {
        for place in [After::Key("a/é".into()), After::Prefix("p/".into())] {
            assert_eq!(after(&token(&place)).unwrap(), place);
        }
        for text in ["", "!", &BASE64.encode("x"), &BASE64.encode([0xff])] {
            assert!(after(text).is_err(), "{text}");
        }
    }

    #[test]
    fn keys_url_encoded() {
        assert_eq!(Encoding::Url.write("a b/test_file(3).png+\u{1}"), "a+b/test_file%283%29.png%2B%01");
        assert_eq!(Encoding::Plain.write("a b"), "a b");
    }

    #[test]
    fn limits() {
        for (given, applied) in
            [(None, Some(1000)), (Some(0), Some(0)), (Some(5), Some(5)), (Some(9999), Some(1000)), (Some(-1), None)]
        {
            assert_eq!(limit(given, "max-keys").ok(), applied);
        }
    }
}
