//! Tags on any record (EC2 User Guide, "Tag your Amazon EC2 resources").

use crate::describe::page;
use crate::errors;
use crate::filters::{self, Field};
use crate::kind::Kind;
use crate::network::Network;
use barge_core::AwsError;
use barge_wire::ec2::{
    CreateTagsRequest, DeleteTagsRequest, DescribeTagsRequest, DescribeTagsResult, Tag, TagDescription,
    TagSpecification,
};
use std::collections::HashSet;

const MOST: usize = 50;
const LONGEST_KEY: usize = 127;
const LONGEST_VALUE: usize = 256;

/// The tags that a creation's specifications give a record of `kind`, checked.
pub(crate) fn specified(specifications: Option<Vec<TagSpecification>>, kind: Kind) -> Result<Vec<Tag>, AwsError> {
    let mut tags = Vec::new();
    for specification in specifications.unwrap_or_default() {
        let resource_type = specification.resource_type.unwrap_or_default();
        if resource_type != kind.resource_type() {
            return Err(errors::invalid_value(format!(
                "'{resource_type}' is not a valid taggable resource type for this operation."
            )));
        }
        tags.extend(specification.tags.unwrap_or_default());
    }
    check(&tags)?;
    Ok(tags)
}

fn check(tags: &[Tag]) -> Result<(), AwsError> {
    let mut keys = HashSet::new();
    for tag in tags {
        let (key, value) = (tag.key.as_deref().unwrap_or_default(), tag.value.as_deref().unwrap_or_default());
        if key.is_empty() || key.chars().count() > LONGEST_KEY {
            return Err(errors::invalid_value(format!(
                "Tag key '{key}' must be between 1 and {LONGEST_KEY} characters long"
            )));
        }
        if value.chars().count() > LONGEST_VALUE {
            return Err(errors::invalid_value(format!(
                "The value of tag '{key}' exceeds the maximum length of {LONGEST_VALUE} characters"
            )));
        }
        if key.get(..4).is_some_and(|prefix| prefix.eq_ignore_ascii_case("aws:")) {
            return Err(errors::invalid_value("Tag keys starting with 'aws:' are reserved for internal use"));
        }
        if !keys.insert(key) {
            return Err(errors::invalid_value(format!("Duplicate tag key '{key}' specified.")));
        }
    }
    Ok(())
}

/// Puts checked tags on a record.
pub(crate) fn put(net: &Network<'_>, id: &str, tags: &[Tag]) -> Result<(), AwsError> {
    for tag in tags {
        net.put_tag(id, tag.key.as_deref().unwrap_or_default(), tag.value.as_deref().unwrap_or_default())?;
    }
    if net.tags(id)?.len() > MOST {
        return Err(errors::refused("TagLimitExceeded", format!("The maximum number of tags per resource is {MOST}")));
    }
    Ok(())
}

pub(crate) fn create(net: &Network<'_>, input: CreateTagsRequest) -> Result<(), AwsError> {
    check(&input.tags)?;
    for id in &input.resources {
        check_exists(net, id)?;
        put(net, id, &input.tags)?;
    }
    Ok(())
}

/// Without tags in the request every tag goes that isn't AWS's own.
pub(crate) fn delete(net: &Network<'_>, input: DeleteTagsRequest) -> Result<(), AwsError> {
    for id in &input.resources {
        check_exists(net, id)?;
        match &input.tags {
            Some(tags) => {
                check(tags)?;
                for tag in tags {
                    net.remove_tag(id, tag.key.as_deref(), tag.value.as_deref())?;
                }
            }
            None => {
                for tag in net.tags(id)? {
                    if !tag.key.as_deref().unwrap_or_default().starts_with("aws:") {
                        net.remove_tag(id, tag.key.as_deref(), None)?;
                    }
                }
            }
        }
    }
    Ok(())
}

fn check_exists(net: &Network<'_>, id: &str) -> Result<(), AwsError> {
    match Kind::of_id(id) {
        _ if net.exists(id)? => Ok(()),
        Some(kind) => Err(kind.missing(id)),
        None => Err(errors::refused("InvalidID", format!("The ID '{id}' is not valid"))),
    }
}

const FILTERS: &[Field<TagDescription>] = &[
    ("key", |tag| filters::text(tag.key.as_ref())),
    ("resource-id", |tag| filters::text(tag.resource_id.as_ref())),
    ("resource-type", |tag| filters::text(tag.resource_type.as_ref())),
    ("value", |tag| filters::text(tag.value.as_ref())),
];

pub(crate) fn describe(net: &Network<'_>, input: DescribeTagsRequest) -> Result<DescribeTagsResult, AwsError> {
    let tags = net.tags_of(None)?.into_iter();
    let mut described: Vec<(String, (TagDescription, [Tag; 1]))> = tags
        .map(|(id, tag)| {
            let description = TagDescription {
                key: tag.key.clone(),
                resource_type: Kind::of_id(&id).map(|kind| kind.resource_type().to_owned()),
                resource_id: Some(id.clone()),
                value: tag.value.clone(),
            };
            (format!("{id}\n{}", tag.key.as_deref().unwrap_or_default()), (description, [tag]))
        })
        .collect();
    let fields = FILTERS;
    // `tag:KEY` looks at the one tag that is described.
    let (mut plain, mut by_tag) = (Vec::new(), Vec::new());
    for filter in input.filters.unwrap_or_default() {
        let is_field = fields.iter().any(|(name, _)| Some(*name) == filter.name.as_deref());
        if is_field { plain.push(filter) } else { by_tag.push(filter) }
    }
    filters::apply(&mut described, &by_tag, &[], |(_, tag)| tag)?;
    let mut described: Vec<_> = described.into_iter().map(|(key, (description, _))| (key, description)).collect();
    filters::apply(&mut described, &plain, fields, |_| &[])?;
    let (tags, next_token) = page(described, input.max_results, input.next_token.as_deref())?;
    Ok(DescribeTagsResult { tags: Some(tags), next_token })
}
