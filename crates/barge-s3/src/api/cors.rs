//! PutBucketCors, GetBucketCors, DeleteBucketCors.

use super::Request;
use super::settings::{change, look};
use crate::core::Core;
use crate::cors::{self, CorsRule};
use crate::error::{INVALID_REQUEST, NO_SUCH_CORS, Result};
use s3s::dto::{
    CORSRule, DeleteBucketCorsInput, DeleteBucketCorsOutput, GetBucketCorsInput, GetBucketCorsOutput,
    PutBucketCorsInput, PutBucketCorsOutput,
};
use std::sync::Arc;

fn rule(given: CORSRule) -> Result<CorsRule> {
    let max_age = given.max_age_seconds.map(|seconds| {
        u32::try_from(seconds).map_err(|_| INVALID_REQUEST.because("MaxAgeSeconds must not be negative."))
    });
    Ok(CorsRule {
        id: given.id,
        origins: given.allowed_origins,
        methods: given.allowed_methods,
        headers: given.allowed_headers.unwrap_or_default(),
        exposed: given.expose_headers.unwrap_or_default(),
        max_age: max_age.transpose()?,
    })
}

fn shown(rule: CorsRule) -> CORSRule {
    let list = |list: Vec<String>| (!list.is_empty()).then_some(list);
    CORSRule {
        id: rule.id,
        allowed_origins: rule.origins,
        allowed_methods: rule.methods,
        allowed_headers: list(rule.headers),
        expose_headers: list(rule.exposed),
        max_age_seconds: rule.max_age.map(|seconds| i32::try_from(seconds).unwrap_or(i32::MAX)),
    }
}

pub(super) async fn put_cors(core: &Arc<Core>, request: Request<PutBucketCorsInput>) -> Result<PutBucketCorsOutput> {
    let Request { caller, input, .. } = request;
    let rules = input.cors_configuration.cors_rules.into_iter().map(rule).collect::<Result<Vec<_>>>()?;
    cors::check(&rules)?;
    change(core, caller, input.bucket, input.expected_bucket_owner, |settings| settings.cors = rules).await?;
    Ok(PutBucketCorsOutput::default())
}

pub(super) async fn get_cors(core: &Arc<Core>, request: Request<GetBucketCorsInput>) -> Result<GetBucketCorsOutput> {
    let Request { caller, input, .. } = request;
    let rules = look(core, caller, input.bucket, input.expected_bucket_owner).await?.cors;
    if rules.is_empty() {
        return Err(NO_SUCH_CORS.into());
    }
    Ok(GetBucketCorsOutput { cors_rules: Some(rules.into_iter().map(shown).collect()) })
}

pub(super) async fn delete_cors(
    core: &Arc<Core>,
    request: Request<DeleteBucketCorsInput>,
) -> Result<DeleteBucketCorsOutput> {
    let Request { caller, input, .. } = request;
    change(core, caller, input.bucket, input.expected_bucket_owner, |settings| settings.cors.clear()).await?;
    Ok(DeleteBucketCorsOutput::default())
}
