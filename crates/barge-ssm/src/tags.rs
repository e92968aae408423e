//! Parameters' tags.

use crate::SsmService;
use crate::names::selector;
use crate::rows::{self, Found};
use barge_core::{AwsError, Context};
use barge_wire::ssm::{
    AddTagsToResourceRequest, ListTagsForResourceRequest, ListTagsForResourceResult, RemoveTagsFromResourceRequest,
    ResourceTypeForTagging, Tag, error,
};
use std::collections::BTreeMap;

/// Tags of a parameter, at most (Systems Manager API reference, AddTagsToResource).
const MOST: usize = 50;

/// The tags that a request gives.
pub(crate) fn given(tags: Option<&[Tag]>) -> Result<BTreeMap<String, String>, AwsError> {
    let tags: BTreeMap<_, _> =
        tags.unwrap_or_default().iter().map(|tag| (tag.key.clone(), tag.value.clone())).collect();
    check(&tags)?;
    Ok(tags)
}

fn check(tags: &BTreeMap<String, String>) -> Result<(), AwsError> {
    if tags.len() > MOST {
        return Err(error::too_many_tags_error(format!("A parameter can have at most {MOST} tags.")));
    }
    match tags.keys().find(|key| key.to_ascii_lowercase().starts_with("aws:")) {
        Some(key) => {
            let text = format!("Tag keys starting with 'aws:' are reserved: {key}");
            Err(AwsError::new("ValidationException", 400, text))
        }
        None => Ok(()),
    }
}

fn parameters_only(kind: ResourceTypeForTagging) -> Result<(), AwsError> {
    if kind == ResourceTypeForTagging::Parameter {
        return Ok(());
    }
    Err(error::invalid_resource_type(format!("{} is not supported by Barge: it has parameters only.", kind.as_str())))
}

fn tagged(tags: BTreeMap<String, String>) -> Vec<Tag> {
    tags.into_iter().map(|(key, value)| Tag { key, value }).collect()
}

impl SsmService {
    /// Changes the tags of the parameter called `name`.
    pub(crate) async fn change_tags(
        &self,
        cx: &Context,
        name: &str,
        change: impl FnOnce(&mut BTreeMap<String, String>) + Send + 'static,
    ) -> Result<(), AwsError> {
        let (scope, name) = (cx.scope.clone(), selector(&cx.scope, name).name);
        self.store
            .write(move |tx| {
                let mut found: Found = rows::find(tx, &scope, &name, None)?
                    .ok_or_else(|| error::invalid_resource_id(format!("Parameter {name} not found.")))?;
                change(&mut found.tags);
                check(&found.tags)?;
                rows::save(tx, &scope, &found)
            })
            .await
    }

    pub(crate) async fn tag(&self, cx: &Context, input: AddTagsToResourceRequest) -> Result<(), AwsError> {
        parameters_only(input.resource_type)?;
        let new = given(Some(&input.tags))?;
        self.change_tags(cx, &input.resource_id, move |tags| tags.extend(new)).await
    }

    pub(crate) async fn untag(&self, cx: &Context, input: RemoveTagsFromResourceRequest) -> Result<(), AwsError> {
        parameters_only(input.resource_type)?;
        let gone = input.tag_keys;
        self.change_tags(cx, &input.resource_id, move |tags| tags.retain(|key, _| !gone.contains(key))).await
    }

    pub(crate) async fn tags_of(
        &self,
        cx: &Context,
        input: ListTagsForResourceRequest,
    ) -> Result<ListTagsForResourceResult, AwsError> {
        parameters_only(input.resource_type)?;
        let (scope, name) = (cx.scope.clone(), selector(&cx.scope, &input.resource_id).name);
        self.store
            .read(move |connection| {
                let found = rows::find(connection, &scope, &name, None)?;
                let found = found.ok_or_else(|| error::invalid_resource_id(format!("Parameter {name} not found.")))?;
                Ok(ListTagsForResourceResult { tag_list: Some(tagged(found.tags)) })
            })
            .await
    }
}
