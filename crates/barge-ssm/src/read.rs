//! GetParameter, GetParameters, GetParametersByPath, GetParameterHistory, DescribeParameters.

use crate::SsmService;
use crate::filters::{self, Depth};
use crate::names::{Selector, arn, not_found, selector};
use crate::rows::{self, Found};
use barge_core::{AwsError, Context, Scope};
use barge_store::rusqlite::Connection;
use barge_wire::ssm::{
    DescribeParametersRequest, DescribeParametersResult, GetParameterHistoryRequest, GetParameterHistoryResult,
    GetParameterResult, GetParametersByPathRequest, GetParametersByPathResult, GetParametersResult, Parameter,
    ParameterHistory, ParameterMetadata, error,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// Parameters on a page where the client asks for no number.
const PATH_PAGE: i64 = 10;
const DESCRIBE_PAGE: i64 = 50;

fn token(name: &str) -> String {
    URL_SAFE_NO_PAD.encode(name)
}

fn after(token: Option<&String>) -> Result<String, AwsError> {
    let Some(token) = token else { return Ok(String::new()) };
    let name = URL_SAFE_NO_PAD.decode(token).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    name.ok_or_else(|| error::invalid_next_token("The specified token isn't valid."))
}

/// Cuts a list at a page's end; the token of the next page where there is one.
fn page(mut found: Vec<Found>, limit: i64) -> (Vec<Found>, Option<String>) {
    let limit = usize::try_from(limit).unwrap_or(1);
    let more = found.len() > limit;
    found.truncate(limit);
    let next = found.last().filter(|_| more).map(|last| token(&last.name));
    (found, next)
}

fn find(connection: &Connection, scope: &Scope, text: &str) -> Result<Found, AwsError> {
    let Selector { name, version } = selector(scope, text);
    let found = match rows::find(connection, scope, &name, version)? {
        // An ARN has a slash before every name, also one that is without.
        None if text.starts_with("arn:") => rows::find(connection, scope, name.trim_start_matches('/'), version)?,
        found => found,
    };
    match (found, version) {
        (Some(found), _) => Ok(found),
        (None, Some(version)) if rows::find(connection, scope, &name, None)?.is_some() => {
            let text = format!(
                "Systems Manager could not find version {version} of {name}. Verify the version and try again."
            );
            Err(error::parameter_version_not_found(text))
        }
        (None, _) => Err(not_found(text)),
    }
}

fn shown(scope: &Scope, found: Found, text: Option<&str>) -> Parameter {
    let selector = text.and_then(|text| selector(scope, text).version).map(|version| format!(":{version}"));
    Parameter {
        arn: Some(arn(scope, &found.name)),
        name: Some(found.name),
        r#type: Some(found.version.kind),
        value: Some(found.version.value),
        version: Some(found.version.number),
        selector,
        last_modified_date: Some(found.version.modified),
        data_type: Some("text".to_owned()),
        ..Parameter::default()
    }
}

fn metadata(scope: &Scope, found: Found) -> ParameterMetadata {
    let version = found.version;
    ParameterMetadata {
        arn: Some(arn(scope, &found.name)),
        name: Some(found.name),
        r#type: Some(version.kind),
        last_modified_date: Some(version.modified),
        last_modified_user: Some(version.user),
        description: version.description,
        allowed_pattern: version.allowed_pattern,
        version: Some(version.number),
        tier: Some(version.tier),
        policies: Some(Vec::new()),
        data_type: Some("text".to_owned()),
        ..ParameterMetadata::default()
    }
}

impl SsmService {
    /// The parameter that `text` names.
    pub(crate) async fn one(&self, cx: &Context, text: &str) -> Result<Found, AwsError> {
        let (scope, text) = (cx.scope.clone(), text.to_owned());
        self.store.read(move |connection| find(connection, &scope, &text)).await
    }

    pub(crate) async fn get(&self, cx: &Context, name: &str) -> Result<GetParameterResult, AwsError> {
        let found = self.one(cx, name).await?;
        Ok(GetParameterResult { parameter: Some(shown(&cx.scope, found, Some(name))) })
    }

    pub(crate) async fn get_many(&self, cx: &Context, names: &[String]) -> Result<GetParametersResult, AwsError> {
        let (scope, names) = (cx.scope.clone(), names.to_vec());
        self.store
            .read(move |connection| {
                let (mut parameters, mut invalid) = (Vec::new(), Vec::new());
                for name in names {
                    match find(connection, &scope, &name) {
                        Ok(found) => parameters.push(shown(&scope, found, Some(&name))),
                        Err(error) if error.status < 500 => invalid.push(name),
                        Err(error) => return Err(error),
                    }
                }
                Ok(GetParametersResult { parameters: Some(parameters), invalid_parameters: Some(invalid) })
            })
            .await
    }

    pub(crate) async fn by_path(
        &self,
        cx: &Context,
        input: GetParametersByPathRequest,
    ) -> Result<GetParametersByPathResult, AwsError> {
        if !input.path.starts_with('/') {
            let text = "The parameter doesn't meet the parameter name requirements. The parameter name must begin with a \
                        forward slash \"/\".";
            return Err(AwsError::new("ValidationException", 400, text));
        }
        let filters = input.parameter_filters.unwrap_or_default();
        filters::check(&filters)?;
        let depth = if input.recursive == Some(true) { Depth::Recursive } else { Depth::OneLevel };
        let (after, limit) = (after(input.next_token.as_ref())?, input.max_results.unwrap_or(PATH_PAGE));
        let (scope, path) = (cx.scope.clone(), input.path);
        self.store
            .read(move |connection| {
                let mut found = rows::list(connection, &scope, &after, path.trim_end_matches('/'))?;
                found.retain(|found| filters::below(&found.name, &path, depth) && filters::pass(&filters, found));
                let (found, next_token) = page(found, limit);
                let parameters = Some(found.into_iter().map(|found| shown(&scope, found, None)).collect());
                Ok(GetParametersByPathResult { parameters, next_token })
            })
            .await
    }

    pub(crate) async fn history(
        &self,
        cx: &Context,
        input: GetParameterHistoryRequest,
    ) -> Result<GetParameterHistoryResult, AwsError> {
        let first = after(input.next_token.as_ref())?.parse().unwrap_or(0_usize);
        let limit = usize::try_from(input.max_results.unwrap_or(DESCRIBE_PAGE)).unwrap_or(1);
        let (scope, text) = (cx.scope.clone(), input.name);
        self.store
            .read(move |connection| {
                let name = find(connection, &scope, &text)?.name;
                let versions = rows::versions(connection, &scope, &name)?;
                let more = versions.len() > first + limit;
                let shown = |version: rows::Version| ParameterHistory {
                    name: Some(name.clone()),
                    r#type: Some(version.kind),
                    last_modified_date: Some(version.modified),
                    last_modified_user: Some(version.user),
                    description: version.description,
                    value: Some(version.value),
                    allowed_pattern: version.allowed_pattern,
                    version: Some(version.number),
                    tier: Some(version.tier),
                    policies: Some(Vec::new()),
                    data_type: Some("text".to_owned()),
                    ..ParameterHistory::default()
                };
                let parameters = versions.into_iter().skip(first).take(limit).map(shown).collect();
                let next_token = more.then(|| token(&(first + limit).to_string()));
                Ok(GetParameterHistoryResult { parameters: Some(parameters), next_token })
            })
            .await
    }

    pub(crate) async fn describe(
        &self,
        cx: &Context,
        input: DescribeParametersRequest,
    ) -> Result<DescribeParametersResult, AwsError> {
        if input.filters.is_some_and(|filters| !filters.is_empty()) {
            let text = "Filters is not supported by Barge: use ParameterFilters.";
            return Err(error::invalid_filter_key(text));
        }
        if input.shared == Some(true) {
            return Ok(DescribeParametersResult { parameters: Some(Vec::new()), next_token: None });
        }
        let filters = input.parameter_filters.unwrap_or_default();
        filters::check(&filters)?;
        let (after, limit) = (after(input.next_token.as_ref())?, input.max_results.unwrap_or(DESCRIBE_PAGE));
        let scope = cx.scope.clone();
        self.store
            .read(move |connection| {
                let mut found = rows::list(connection, &scope, &after, "")?;
                found.retain(|found| filters::pass(&filters, found));
                let (found, next_token) = page(found, limit);
                let parameters = Some(found.into_iter().map(|found| metadata(&scope, found)).collect());
                Ok(DescribeParametersResult { parameters, next_token })
            })
            .await
    }
}
