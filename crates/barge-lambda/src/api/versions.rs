//! Published versions of functions.

use super::check_revision;
use crate::LambdaService;
use crate::function::{Function, Published};
use crate::names::{FunctionKey, Qualifier};
use crate::registry::Change;
use barge_core::{AwsError, Context};
use barge_wire::lambda::{
    FunctionConfiguration, ListVersionsByFunctionRequest, ListVersionsByFunctionResponse, PublishVersionRequest, error,
};
use std::sync::Arc;

/// Versions on a page where the client asks for no number.
const PAGE: i64 = 50;

/// What PublishVersion does where nothing has changed since the last version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unchanged {
    /// The last version is given again, as AWS's API does.
    Again,
    /// It is an error, as it is in a template.
    Refused,
}

/// The function and its versions as lists show them.
pub(super) fn all(function: &Arc<Function>) -> Vec<FunctionConfiguration> {
    let numbers = function.published.iter().map(|version| version.number);
    let versions = numbers.filter_map(|number| Some(function.at(number)?.configuration(&Qualifier::Version(number))));
    std::iter::once(function.configuration(&Qualifier::Latest)).chain(versions).collect()
}

impl LambdaService {
    /// Publishes the function as it is: the version's number.
    pub(crate) async fn publish(
        &self,
        cx: &Context,
        request: &PublishVersionRequest,
        unchanged: Unchanged,
        token: Option<&str>,
    ) -> Result<(Arc<Function>, u64), AwsError> {
        if request.publish_to.is_some() {
            return Err(error::invalid_parameter_value_exception("PublishTo is not supported by Barge."));
        }
        let (function, _) = self.whole(cx, &request.function_name)?;
        let key = &function.key;
        let ids = &self.shared.ambient.ids;
        let (revision, deployment) = (ids.uuid(), ids.uuid());
        let number = self
            .shared
            .registry
            .change(key, |old| {
                let mut function = old.ok_or_else(|| key.not_found())?.clone();
                let made = |version: &&Published| token.is_some() && version.creation_token.as_deref() == token;
                if let Some(made) = function.published.iter().find(made) {
                    return Ok(Change::Keep(made.number));
                }
                check_revision(request.revision_id.as_ref(), &function.revision)?;
                let present = function.code.base64();
                if let Some(wanted) = request.code_sha256.as_ref().filter(|wanted| **wanted != present) {
                    return Err(error::invalid_parameter_value_exception(format!(
                        "CodeSHA256 ({wanted}) is different from current CodeSHA256 in $LATEST ({present}). Please try \
                         again with the CodeSHA256 in $LATEST."
                    )));
                }
                match function.published.last() {
                    Some(last) if last.source == function.deployment => match unchanged {
                        Unchanged::Again => return Ok(Change::Keep(last.number)),
                        Unchanged::Refused => {
                            return Err(error::resource_conflict_exception(format!(
                                "A version for this Lambda function exists ( {} ). Modify the function to create a new \
                                 version.",
                                last.number
                            )));
                        }
                    },
                    _ => {}
                }
                function.last_version += 1;
                let mut settings = function.settings.clone();
                if let Some(description) = &request.description {
                    settings.description.clone_from(description);
                }
                function.published.push(Published {
                    number: function.last_version,
                    settings,
                    code: function.code.clone(),
                    policy: Vec::new(),
                    last_modified: cx.now,
                    revision,
                    deployment,
                    source: function.deployment.clone(),
                    creation_token: token.map(str::to_owned),
                });
                let number = function.last_version;
                Ok(Change::Store(Box::new(function), number))
            })
            .await?;
        Ok((self.shared.registry.require(key)?, number))
    }

    pub(super) async fn publish_answer(
        &self,
        cx: &Context,
        request: &PublishVersionRequest,
    ) -> Result<FunctionConfiguration, AwsError> {
        let (function, number) = self.publish(cx, request, Unchanged::Again, None).await?;
        let qualifier = Qualifier::Version(number);
        let version = function.at(number).ok_or_else(|| qualifier.not_found(&function.key))?;
        Ok(version.configuration(&qualifier))
    }

    /// The function as an answer shows it; its new version where the request publishes one.
    pub(super) async fn published_too(
        &self,
        cx: &Context,
        function: Arc<Function>,
        qualifier: Qualifier,
        publish: bool,
    ) -> Result<FunctionConfiguration, AwsError> {
        if !publish {
            return Ok(function.configuration(&qualifier));
        }
        let request =
            PublishVersionRequest { function_name: function.key.name.clone(), ..PublishVersionRequest::default() };
        self.publish_answer(cx, &request).await
    }

    /// Removes a version; one that an alias names stays.
    pub(crate) async fn remove_version(&self, key: &FunctionKey, number: u64) -> Result<(), AwsError> {
        self.shared
            .registry
            .change(key, |old| {
                let mut function = old.ok_or_else(|| key.not_found())?.clone();
                let name = number.to_string();
                let users: Vec<&str> = function
                    .aliases
                    .iter()
                    .filter(|(_, alias)| alias.version == name || alias.weights.contains_key(&name))
                    .map(|(alias, _)| alias.as_str())
                    .collect();
                if !users.is_empty() {
                    return Err(error::resource_conflict_exception(format!(
                        "Unable to delete version because the following aliases reference it: [{}]",
                        users.join(", ")
                    )));
                }
                function.published.retain(|version| version.number != number);
                function.event_configs.remove(&name);
                Ok(Change::Store(Box::new(function), ()))
            })
            .await?;
        self.shared.pools.deploy(&key.at(number), "");
        self.shared.collect_code().await;
        Ok(())
    }

    pub(super) fn list_versions(
        &self,
        cx: &Context,
        request: &ListVersionsByFunctionRequest,
    ) -> Result<ListVersionsByFunctionResponse, AwsError> {
        let (function, _) = self.whole(cx, &request.function_name)?;
        let limit = usize::try_from(request.max_items.unwrap_or(PAGE).clamp(1, PAGE)).unwrap_or(1);
        let name = |shown: &FunctionConfiguration| shown.version.clone().unwrap_or_default();
        let mut versions = all(&function);
        if let Some(marker) = &request.marker {
            let start = versions.iter().position(|shown| name(shown) == *marker).map_or(0, |at| at + 1);
            versions.drain(..start);
        }
        let more = versions.len() > limit;
        versions.truncate(limit);
        let next_marker = versions.last().filter(|_| more).map(name);
        Ok(ListVersionsByFunctionResponse { next_marker, versions: Some(versions) })
    }
}
