//! Functions' tags.

use crate::LambdaService;
use crate::registry::Change;
use barge_core::{AwsError, Context};
use barge_wire::lambda::{TagResourceRequest, UntagResourceRequest, error};
use std::collections::BTreeMap;

/// Tags of a function, at most; characters of a tag's key and value (Lambda Developer Guide, "Using tags on Lambda
/// functions").
const MOST: usize = 50;
const LONGEST_KEY: usize = 128;
const LONGEST_VALUE: usize = 256;

/// Fails where `tags` break Lambda's rules.
pub(super) fn check(tags: &BTreeMap<String, String>) -> Result<(), AwsError> {
    if tags.len() > MOST {
        return Err(error::invalid_parameter_value_exception(format!("A function can have at most {MOST} tags.")));
    }
    for (key, value) in tags {
        if key.is_empty() || key.chars().count() > LONGEST_KEY {
            return Err(error::invalid_parameter_value_exception(format!(
                "The tag key {key:?} must have 1 to {LONGEST_KEY} characters."
            )));
        }
        if value.chars().count() > LONGEST_VALUE {
            return Err(error::invalid_parameter_value_exception(format!(
                "The value of the tag {key:?} must have at most {LONGEST_VALUE} characters."
            )));
        }
    }
    Ok(())
}

impl LambdaService {
    pub(crate) async fn tag(&self, cx: &Context, request: &TagResourceRequest) -> Result<(), AwsError> {
        if let Some(key) = request.tags.keys().find(|key| key.to_ascii_lowercase().starts_with("aws:")) {
            return Err(error::invalid_parameter_value_exception(format!(
                "The tag key {key:?} begins with aws:, which is reserved."
            )));
        }
        self.change_tags(cx, &request.resource, |tags| tags.extend(request.tags.clone())).await
    }

    pub(super) async fn untag(&self, cx: &Context, request: &UntagResourceRequest) -> Result<(), AwsError> {
        self.change_tags(cx, &request.resource, |tags| tags.retain(|key, _| !request.tag_keys.contains(key))).await
    }

    /// Changes the tags of the function that `name` names.
    pub(crate) async fn change_tags(
        &self,
        cx: &Context,
        name: &str,
        change: impl FnOnce(&mut BTreeMap<String, String>),
    ) -> Result<(), AwsError> {
        let (function, _) = self.whole(cx, name)?;
        let key = &function.key;
        self.shared
            .registry
            .change(key, |old| {
                let mut function = old.ok_or_else(|| key.not_found())?.clone();
                change(&mut function.tags);
                check(&function.tags)?;
                Ok(Change::Store(Box::new(function), ()))
            })
            .await
    }
}
