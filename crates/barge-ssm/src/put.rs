//! PutParameter, DeleteParameter, DeleteParameters.

use crate::names::{check, not_found, selector};
use crate::rows::{self, Found, Version};
use crate::{SsmService, tags};
use barge_core::{AwsError, Context};
use barge_wire::ssm::{
    DeleteParametersResult, ParameterTier, ParameterType, PutParameterRequest, PutParameterResult, error,
};
use regex::Regex;

/// Bytes of a value (Systems Manager User Guide, "Managing parameter tiers").
const STANDARD: usize = 4096;
const ADVANCED: usize = 8192;

fn invalid(message: impl Into<String>) -> AwsError {
    AwsError::new("ValidationException", 400, message.into())
}

fn refused(what: &str) -> AwsError {
    error::unsupported_parameter_type(format!("{what} is not supported by Barge."))
}

/// What a request writes, checked.
struct Wanted {
    value: String,
    kind: Option<ParameterType>,
    description: Option<String>,
    allowed_pattern: Option<String>,
    tier: ParameterTier,
}

fn wanted(input: &PutParameterRequest) -> Result<Wanted, AwsError> {
    if input.r#type == Some(ParameterType::SecureString) {
        return Err(refused("The parameter type SecureString"));
    }
    if input.key_id.is_some() {
        return Err(invalid("KeyId is only valid for parameters of type SecureString."));
    }
    if input.policies.as_ref().is_some_and(|policies| policies.trim() != "[{}]") {
        return Err(refused("Policies"));
    }
    if let Some(other) = input.data_type.as_deref().filter(|kind| *kind != "text") {
        return Err(refused(&format!("The data type {other}")));
    }
    if input.value.is_empty() {
        return Err(invalid("Parameter value can't be empty."));
    }
    let length = input.value.len();
    let tier = match input.tier.unwrap_or(ParameterTier::Standard) {
        ParameterTier::IntelligentTiering if length > STANDARD => ParameterTier::Advanced,
        ParameterTier::IntelligentTiering => ParameterTier::Standard,
        chosen => chosen,
    };
    if length > ADVANCED || (tier == ParameterTier::Standard && length > STANDARD) {
        let most = if tier == ParameterTier::Standard { STANDARD } else { ADVANCED };
        return Err(invalid(format!(
            "{} tier parameters support a maximum parameter value of {most} characters.",
            tier.as_str()
        )));
    }
    if let Some(pattern) = input.allowed_pattern.as_deref().filter(|pattern| !pattern.is_empty()) {
        let regex = Regex::new(pattern).map_err(|wrong| {
            error::invalid_allowed_pattern_exception(format!(
                "AllowedPattern must be a regular expression without look-around: {wrong}"
            ))
        })?;
        if !regex.is_match(&input.value) {
            return Err(error::parameter_pattern_mismatch_exception(format!(
                "Parameter value, cannot be validated against allowedPattern: {pattern}"
            )));
        }
    }
    Ok(Wanted {
        value: input.value.clone(),
        kind: input.r#type,
        description: input.description.clone(),
        allowed_pattern: input.allowed_pattern.clone(),
        tier,
    })
}

impl SsmService {
    /// Writes a parameter, for a template where `creation` says which creation this is.
    pub(crate) async fn put(
        &self,
        cx: &Context,
        input: PutParameterRequest,
        creation: Option<String>,
    ) -> Result<PutParameterResult, AwsError> {
        check(&input.name)?;
        let wanted = wanted(&input)?;
        let given = tags::given(input.tags.as_deref())?;
        let overwrite = input.overwrite == Some(true);
        if overwrite && input.tags.is_some() {
            return Err(invalid(
                "Invalid request: tags and overwrite can't be used together. To create a parameter with tags, please remove \
                 overwrite flag. To update tags for an existing parameter, please use AddTagsToResource or \
                 RemoveTagsFromResource.",
            ));
        }
        let (scope, now, user, name) = (cx.scope.clone(), cx.now, cx.principal.arn(), input.name);
        self.store
            .write(move |tx| {
                let old = rows::find(tx, &scope, &name, None)?;
                if let Some(old) = &old {
                    // The creation that made it, tried again.
                    if creation.is_some() && old.creation == creation && !overwrite {
                        return Ok(result(&old.version));
                    }
                    if !overwrite {
                        return Err(error::parameter_already_exists(
                            "The parameter already exists. To overwrite this value, set the overwrite option in the \
                             request to true.",
                        ));
                    }
                }
                let before = old.as_ref().map(|old| &old.version);
                let Some(kind) = wanted.kind.or(before.map(|before| before.kind)) else {
                    return Err(invalid("A parameter type is required when you create a parameter."));
                };
                if before.is_some_and(|before| before.tier == ParameterTier::Advanced)
                    && wanted.tier == ParameterTier::Standard
                {
                    return Err(invalid(
                        "This parameter uses the advanced-parameter tier. You can't downgrade a parameter from the \
                         advanced-parameter tier to the standard-parameter tier.",
                    ));
                }
                let version = Version {
                    number: before.map_or(0, |before| before.number) + 1,
                    kind,
                    value: wanted.value,
                    description: wanted.description.or(before.and_then(|before| before.description.clone())),
                    allowed_pattern: wanted.allowed_pattern,
                    tier: wanted.tier,
                    modified: now,
                    user,
                };
                let answer = result(&version);
                let (tags, creation) = match old {
                    Some(old) => (old.tags, old.creation),
                    None => (given, creation),
                };
                rows::save(tx, &scope, &Found { name, version, tags, creation })?;
                Ok(answer)
            })
            .await
    }

    pub(crate) async fn delete(&self, cx: &Context, name: &str) -> Result<(), AwsError> {
        let (scope, name) = (cx.scope.clone(), selector(&cx.scope, name).name);
        self.store.write(move |tx| if rows::remove(tx, &scope, &name)? { Ok(()) } else { Err(not_found(&name)) }).await
    }

    pub(crate) async fn delete_many(&self, cx: &Context, names: &[String]) -> Result<DeleteParametersResult, AwsError> {
        let (scope, names) = (cx.scope.clone(), names.to_vec());
        self.store
            .write(move |tx| {
                let (mut deleted, mut invalid) = (Vec::new(), Vec::new());
                for name in names {
                    let there = rows::remove(tx, &scope, &selector(&scope, &name).name)?;
                    if there { deleted.push(name) } else { invalid.push(name) }
                }
                Ok(DeleteParametersResult { deleted_parameters: Some(deleted), invalid_parameters: Some(invalid) })
            })
            .await
    }
}

fn result(version: &Version) -> PutParameterResult {
    PutParameterResult { version: Some(version.number), tier: Some(version.tier) }
}
