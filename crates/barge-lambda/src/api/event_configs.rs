//! How long events wait for a function, how often it is tried, and who hears what became of them (Lambda API reference,
//! PutFunctionEventInvokeConfig).

use crate::LambdaService;
use crate::destinations::{Destinations, target};
use crate::function::{EventConfig, Function};
use crate::names::{FunctionKey, LATEST, Qualifier, Target, resolve};
use crate::registry::Change;
use barge_core::{AwsError, Context};
use barge_wire::lambda::{
    DestinationConfig, FunctionEventInvokeConfig, ListFunctionEventInvokeConfigsRequest,
    ListFunctionEventInvokeConfigsResponse, OnFailure, OnSuccess, PutFunctionEventInvokeConfigRequest, error,
};

/// What happens to the members that a request leaves out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rest {
    /// They are removed.
    Cleared,
    /// They stay.
    Kept,
}

fn shown(key: &FunctionKey, qualifier: &str, config: &EventConfig) -> FunctionEventInvokeConfig {
    FunctionEventInvokeConfig {
        last_modified: Some(config.last_modified),
        function_arn: Some(Qualifier::parse(qualifier).arn(key)),
        maximum_retry_attempts: config.retries.map(i64::from),
        maximum_event_age_in_seconds: config.max_age_seconds.map(i64::from),
        destination_config: Some(DestinationConfig {
            on_success: config.destinations.on_success.clone().map(|to| OnSuccess { destination: Some(to) }),
            on_failure: config.destinations.on_failure.clone().map(|to| OnFailure { destination: Some(to) }),
        }),
    }
}

fn missing(key: &FunctionKey, qualifier: &str) -> AwsError {
    let arn = Qualifier::parse(qualifier).arn(key);
    error::resource_not_found_exception(format!("The function {arn} doesn't have an EventInvokeConfig"))
}

/// The destinations of a request that gives some: an empty one is none.
fn destinations(config: &DestinationConfig, cx: &Context) -> Result<Destinations, AwsError> {
    let given = |arn: Option<&String>| arn.filter(|arn| !arn.is_empty()).cloned();
    let destinations = Destinations {
        on_success: given(config.on_success.as_ref().and_then(|to| to.destination.as_ref())),
        on_failure: given(config.on_failure.as_ref().and_then(|to| to.destination.as_ref())),
    };
    for arn in [&destinations.on_success, &destinations.on_failure].into_iter().flatten() {
        target(&cx.scope, arn)?;
    }
    Ok(destinations)
}

impl LambdaService {
    /// The function and the qualifier's text that a request names.
    fn configured(
        &self,
        cx: &Context,
        name: &str,
        qualifier: Option<&str>,
    ) -> Result<(std::sync::Arc<Function>, String), AwsError> {
        let Target { key, qualifier } = resolve(&cx.scope, name, qualifier)?;
        let function = self.shared.registry.require(&key)?;
        function.pointed(&qualifier, 0.0).ok_or_else(|| qualifier.not_found(&key))?;
        Ok((function, qualifier.text().unwrap_or_else(|| LATEST.to_owned())))
    }

    pub(crate) async fn put_event_config(
        &self,
        cx: &Context,
        request: &PutFunctionEventInvokeConfigRequest,
        rest: Rest,
    ) -> Result<FunctionEventInvokeConfig, AwsError> {
        let given = request.destination_config.as_ref().map(|config| destinations(config, cx)).transpose()?;
        let (function, qualifier) = self.configured(cx, &request.function_name, request.qualifier.as_deref())?;
        let key = &function.key;
        let number = |value: Option<i64>| value.and_then(|value| u32::try_from(value).ok());
        let (retries, age) = (number(request.maximum_retry_attempts), number(request.maximum_event_age_in_seconds));
        self.shared
            .registry
            .change(key, |old| {
                let mut function = old.ok_or_else(|| key.not_found())?.clone();
                let before = function.event_configs.get(&qualifier).filter(|_| rest == Rest::Kept);
                let config = EventConfig {
                    retries: retries.or(before.and_then(|before| before.retries)),
                    max_age_seconds: age.or(before.and_then(|before| before.max_age_seconds)),
                    destinations: given.or(before.map(|before| before.destinations.clone())).unwrap_or_default(),
                    last_modified: cx.now,
                };
                let answer = shown(key, &qualifier, &config);
                function.event_configs.insert(qualifier, config);
                Ok(Change::Store(Box::new(function), answer))
            })
            .await
    }

    pub(crate) fn event_config(
        &self,
        cx: &Context,
        name: &str,
        qualifier: Option<&str>,
    ) -> Result<FunctionEventInvokeConfig, AwsError> {
        let (function, qualifier) = self.configured(cx, name, qualifier)?;
        let config = function.event_configs.get(&qualifier).ok_or_else(|| missing(&function.key, &qualifier))?;
        Ok(shown(&function.key, &qualifier, config))
    }

    pub(crate) async fn remove_event_config(
        &self,
        cx: &Context,
        name: &str,
        qualifier: Option<&str>,
    ) -> Result<(), AwsError> {
        let (function, qualifier) = self.configured(cx, name, qualifier)?;
        let key = &function.key;
        self.shared
            .registry
            .change(key, |old| {
                let mut function = old.ok_or_else(|| key.not_found())?.clone();
                function.event_configs.remove(&qualifier).ok_or_else(|| missing(key, &qualifier))?;
                Ok(Change::Store(Box::new(function), ()))
            })
            .await
    }

    pub(super) fn event_configs(
        &self,
        cx: &Context,
        request: &ListFunctionEventInvokeConfigsRequest,
    ) -> Result<ListFunctionEventInvokeConfigsResponse, AwsError> {
        let (function, _) = self.whole(cx, &request.function_name)?;
        let limit = usize::try_from(request.max_items.unwrap_or(50)).unwrap_or(1);
        let after = |name: &str| request.marker.as_deref().is_none_or(|marker| name > marker);
        let mut found: Vec<_> = function.event_configs.iter().filter(|(name, _)| after(name)).collect();
        let more = found.len() > limit;
        found.truncate(limit);
        let next_marker = found.last().filter(|_| more).map(|(name, _)| (*name).clone());
        let configs = found.into_iter().map(|(name, config)| shown(&function.key, name, config)).collect();
        Ok(ListFunctionEventInvokeConfigsResponse { function_event_invoke_configs: Some(configs), next_marker })
    }
}
