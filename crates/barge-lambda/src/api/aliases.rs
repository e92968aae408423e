//! Aliases: names for versions.

use super::check_revision;
use crate::LambdaService;
use crate::function::{Alias, Function};
use crate::names::{LATEST, Qualifier};
use crate::registry::Change;
use barge_core::{AwsError, Context};
use barge_wire::lambda::{
    AliasConfiguration, AliasRoutingConfiguration, CreateAliasRequest, DeleteAliasRequest, GetAliasRequest,
    ListAliasesRequest, ListAliasesResponse, UpdateAliasRequest, error,
};
use std::collections::BTreeMap;

/// Aliases on a page where the client asks for no number.
const PAGE: i64 = 50;

fn shown(function: &Function, name: &str, alias: &Alias) -> AliasConfiguration {
    let weights = alias.weights.clone();
    AliasConfiguration {
        alias_arn: Some(Qualifier::Alias(name.to_owned()).arn(&function.key)),
        name: Some(name.to_owned()),
        function_version: Some(alias.version.clone()),
        description: Some(alias.description.clone()),
        routing_config: (!weights.is_empty())
            .then_some(AliasRoutingConfiguration { additional_version_weights: Some(weights) }),
        revision_id: Some(alias.revision.clone()),
    }
}

/// Fails where an alias of `function` can't stand for `version` and the `weights` of others.
fn check(function: &Function, version: &str, weights: &BTreeMap<String, f64>) -> Result<(), AwsError> {
    let exists = |name: &str| match Qualifier::parse(name) {
        Qualifier::Latest => Ok(()),
        Qualifier::Version(number) if function.published.iter().any(|version| version.number == number) => Ok(()),
        other => Err(other.not_found(&function.key)),
    };
    exists(version)?;
    if weights.len() > 1 {
        return Err(error::invalid_parameter_value_exception(
            "Number of items in AdditionalVersionWeights cannot be greater than 1.",
        ));
    }
    for (other, weight) in weights {
        exists(other)?;
        if version == LATEST || other == LATEST || other == version {
            return Err(error::invalid_parameter_value_exception(
                "An alias with AdditionalVersionWeights must point to two different published versions.",
            ));
        }
        if !(0.0..=1.0).contains(weight) {
            return Err(error::invalid_parameter_value_exception("A weight must be from 0.0 to 1.0."));
        }
    }
    Ok(())
}

/// Fails where an alias can't be called `name` (Lambda API reference, CreateAlias: not a number, which is a version's).
fn check_name(name: &str) -> Result<(), AwsError> {
    let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    if name.chars().all(legal) && !name.chars().all(|c| c.is_ascii_digit()) {
        return Ok(());
    }
    Err(AwsError::validation(format!(
        "1 validation error detected: Value '{name}' at 'name' failed to satisfy constraint: Member must satisfy regular \
         expression pattern: (?!^[0-9]+$)([a-zA-Z0-9-_]+)"
    )))
}

fn weights(routing: Option<AliasRoutingConfiguration>) -> BTreeMap<String, f64> {
    routing.and_then(|routing| routing.additional_version_weights).unwrap_or_default()
}

fn missing(function: &Function, name: &str) -> AwsError {
    let arn = Qualifier::Alias(name.to_owned()).arn(&function.key);
    error::resource_not_found_exception(format!("Cannot find alias arn: {arn}"))
}

impl LambdaService {
    /// Makes an alias; the creation of a template that did it before gets the same again.
    pub(crate) async fn make_alias(
        &self,
        cx: &Context,
        request: CreateAliasRequest,
        token: Option<String>,
    ) -> Result<AliasConfiguration, AwsError> {
        check_name(&request.name)?;
        let (function, _) = self.whole(cx, &request.function_name)?;
        let (key, name) = (&function.key, request.name);
        let revision = self.shared.ambient.ids.uuid();
        self.shared
            .registry
            .change(key, |old| {
                let mut function = old.ok_or_else(|| key.not_found())?.clone();
                if let Some(there) = function.aliases.get(&name) {
                    if token.is_some() && there.creation_token == token {
                        return Ok(Change::Keep(shown(&function, &name, there)));
                    }
                    let arn = Qualifier::Alias(name.clone()).arn(key);
                    return Err(error::resource_conflict_exception(format!("Alias already exists: {arn}")));
                }
                let weights = weights(request.routing_config);
                check(&function, &request.function_version, &weights)?;
                let alias = Alias {
                    version: request.function_version,
                    description: request.description.unwrap_or_default(),
                    weights,
                    policy: Vec::new(),
                    revision,
                    creation_token: token,
                };
                let answer = shown(&function, &name, &alias);
                function.aliases.insert(name, alias);
                Ok(Change::Store(Box::new(function), answer))
            })
            .await
    }

    pub(crate) async fn change_alias(
        &self,
        cx: &Context,
        request: UpdateAliasRequest,
    ) -> Result<AliasConfiguration, AwsError> {
        let (function, _) = self.whole(cx, &request.function_name)?;
        let (key, name) = (&function.key, request.name);
        let revision = self.shared.ambient.ids.uuid();
        self.shared
            .registry
            .change(key, |old| {
                let mut function = old.ok_or_else(|| key.not_found())?.clone();
                let mut alias = function.aliases.get(&name).cloned().ok_or_else(|| missing(&function, &name))?;
                check_revision(request.revision_id.as_ref(), &alias.revision)?;
                alias.version = request.function_version.unwrap_or(alias.version);
                alias.description = request.description.unwrap_or(alias.description);
                if request.routing_config.is_some() {
                    alias.weights = weights(request.routing_config);
                }
                check(&function, &alias.version, &alias.weights)?;
                alias.revision = revision;
                let answer = shown(&function, &name, &alias);
                function.aliases.insert(name, alias);
                Ok(Change::Store(Box::new(function), answer))
            })
            .await
    }

    pub(crate) fn alias(&self, cx: &Context, request: &GetAliasRequest) -> Result<AliasConfiguration, AwsError> {
        let (function, _) = self.whole(cx, &request.function_name)?;
        let alias = function.aliases.get(&request.name).ok_or_else(|| missing(&function, &request.name))?;
        Ok(shown(&function, &request.name, alias))
    }

    pub(super) fn aliases(&self, cx: &Context, request: &ListAliasesRequest) -> Result<ListAliasesResponse, AwsError> {
        let (function, _) = self.whole(cx, &request.function_name)?;
        let limit = usize::try_from(request.max_items.unwrap_or(PAGE)).unwrap_or(1);
        let wanted = |alias: &Alias| request.function_version.as_ref().is_none_or(|version| alias.version == *version);
        let after = |name: &str| request.marker.as_deref().is_none_or(|marker| name > marker);
        let mut found: Vec<AliasConfiguration> = function
            .aliases
            .iter()
            .filter(|(name, alias)| after(name) && wanted(alias))
            .map(|(name, alias)| shown(&function, name, alias))
            .collect();
        let more = found.len() > limit;
        found.truncate(limit);
        let next_marker = found.last().filter(|_| more).and_then(|last| last.name.clone());
        Ok(ListAliasesResponse { next_marker, aliases: Some(found) })
    }

    /// Removes an alias; one that isn't there is removed already.
    pub(crate) async fn remove_alias(&self, cx: &Context, request: &DeleteAliasRequest) -> Result<(), AwsError> {
        let (function, _) = self.whole(cx, &request.function_name)?;
        let key = &function.key;
        self.shared
            .registry
            .change(key, |old| {
                let mut function = old.ok_or_else(|| key.not_found())?.clone();
                function.event_configs.remove(&request.name);
                match function.aliases.remove(&request.name) {
                    Some(_) => Ok(Change::Store(Box::new(function), ())),
                    None => Ok(Change::Keep(())),
                }
            })
            .await
    }
}
