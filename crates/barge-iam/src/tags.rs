//! Tags on any record that takes them (IAM User Guide, "Tags for AWS Identity and Access Management resources").

use crate::account::Account;
use crate::errors;
use crate::paging::{Page, page};
use crate::records::Tagged;
use barge_core::AwsError;
use barge_wire::iam::{Tag, error};
use std::collections::HashSet;

/// Most tags on one record.
const MOST: usize = 50;

/// The tags of a creation, checked.
pub(crate) fn checked(tags: Option<Vec<Tag>>) -> Result<Vec<Tag>, AwsError> {
    let tags = tags.unwrap_or_default();
    let mut keys = HashSet::new();
    for tag in &tags {
        if !keys.insert(tag.key.to_lowercase()) {
            return Err(error::invalid_input_exception(
                "Duplicate tag keys found. Please note that Tag keys are case insensitive.",
            ));
        }
        if is_reserved(&tag.key) {
            return Err(error::invalid_input_exception("Tag keys beginning with aws: are reserved for AWS use"));
        }
    }
    Ok(tags)
}

fn is_reserved(key: &str) -> bool {
    key.get(..4).is_some_and(|prefix| prefix.eq_ignore_ascii_case("aws:"))
}

/// Adds tags; a key that is there takes the new value.
pub(crate) fn add<R: Tagged>(account: &Account<'_>, name: &str, tags: Vec<Tag>) -> Result<(), AwsError> {
    let added = checked(Some(tags))?;
    account.change::<R>(name, |record| merge(record.tags(), added)).map(drop)
}

pub(crate) fn merge(tags: &mut Vec<Tag>, added: Vec<Tag>) -> Result<(), AwsError> {
    for tag in added {
        match tags.iter_mut().find(|other| other.key.eq_ignore_ascii_case(&tag.key)) {
            Some(other) => *other = tag,
            None => tags.push(tag),
        }
    }
    if tags.len() > MOST { Err(errors::quota("TagsPerResource", MOST)) } else { Ok(()) }
}

pub(crate) fn remove<R: Tagged>(account: &Account<'_>, name: &str, keys: &[String]) -> Result<(), AwsError> {
    account
        .change::<R>(name, |record| {
            record.tags().retain(|tag| !keys.iter().any(|key| key.eq_ignore_ascii_case(&tag.key)));
            Ok(())
        })
        .map(drop)
}

pub(crate) fn list<R: Tagged>(
    account: &Account<'_>,
    name: &str,
    marker: Option<&str>,
    max_items: Option<i64>,
) -> Result<Page<Tag>, AwsError> {
    let mut record = account.get::<R>(name)?;
    page(std::mem::take(record.tags()), |tag| tag.key.clone(), marker, max_items)
}
