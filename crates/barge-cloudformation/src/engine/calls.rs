//! Calls to providers, and the reason of a failed one in CloudFormation's words.

use super::runner::{Call, Happening};
use super::{Engine, exports};
use barge_core::{AwsError, Context};
use futures::FutureExt as _;
use std::panic::AssertUnwindSafe;

/// What a call does, for its failure.
#[derive(Clone, Copy)]
enum Kind {
    Create(usize),
    Update(usize),
    Delete(usize),
    Publish,
}

impl Kind {
    fn of(call: &Call) -> Self {
        match call {
            Call::Create { index, .. } | Call::Import { index, .. } => Self::Create(*index),
            Call::Update { index, .. } => Self::Update(*index),
            Call::Delete { index, .. } => Self::Delete(*index),
            Call::Publish { .. } => Self::Publish,
        }
    }

    fn failed(self, reason: String) -> Happening {
        match self {
            Self::Create(index) => Happening::CreateFailed(index, reason, None),
            Self::Update(index) => Happening::UpdateFailed(index, reason),
            Self::Delete(index) => Happening::DeleteFailed(index, reason),
            Self::Publish => Happening::Published(Err(reason)),
        }
    }
}

/// Makes the call. A provider that panics fails its one resource.
pub(super) async fn make(engine: Engine, cx: Context, stack_id: String, type_name: String, call: Call) -> Happening {
    let kind = Kind::of(&call);
    match AssertUnwindSafe(provide(&engine, &cx, &stack_id, &type_name, call)).catch_unwind().await {
        Ok(Ok(happening)) => happening,
        Ok(Err(error)) => kind.failed(reason(&error, &type_name, &cx.request_id)),
        Err(_) => {
            tracing::error!(type_name, "a resource provider panicked");
            kind.failed("Internal Failure".to_owned())
        }
    }
}

async fn provide(
    engine: &Engine,
    cx: &Context,
    stack_id: &str,
    type_name: &str,
    call: Call,
) -> Result<Happening, AwsError> {
    let provider = || {
        let missing = || AwsError::not_implemented("AWS CloudFormation", &format!("the resource type {type_name}"));
        engine.registry().provider(type_name).ok_or_else(missing)
    };
    match call {
        Call::Create { index, creation } => {
            let provider = provider()?;
            Ok(match provider.create(cx, &creation).await {
                Ok(resource) => Happening::Created(index, resource),
                Err(error) => {
                    let remains = provider.remains(cx, &creation).await;
                    Happening::CreateFailed(index, reason(&error, type_name, &cx.request_id), remains)
                }
            })
        }
        Call::Import { index, physical_id, properties } => {
            let found = provider()?.read(cx, &physical_id, &properties).await?;
            let gone = || AwsError::new(PLAIN, 404, format!("Resource {physical_id} does not exist any more"));
            Ok(Happening::Created(index, found.ok_or_else(gone)?))
        }
        Call::Update { index, physical_id, old, creation } => {
            let updated = provider()?.update(cx, &physical_id, &old, &creation).await;
            updated.map(|resource| Happening::Updated(index, resource))
        }
        Call::Delete { index, physical_id, creation } => {
            provider()?.remove(cx, &physical_id, &creation).await.map(|()| Happening::Deleted(index))
        }
        Call::Publish { outputs } => {
            let id = stack_id.to_owned();
            let outcome = engine.store().write(move |tx| exports::publish(tx, &id, &outputs)).await?;
            Ok(Happening::Published(outcome))
        }
    }
}

/// The code of errors whose message is the whole reason: those of CloudFormation's own types.
pub(crate) const PLAIN: &str = "CloudFormationResource";

/// The reason as a resource handler's error reads on AWS.
fn reason(error: &AwsError, type_name: &str, request_id: &str) -> String {
    if error.is(PLAIN) {
        return error.message.clone();
    }
    let service = type_name.split("::").nth(1).unwrap_or(type_name);
    format!(
        "Resource handler returned message: \"{} (Service: {service}, Status Code: {}, Request ID: {request_id})\" \
         (RequestToken: {request_id}, HandlerErrorCode: {})",
        error.message,
        error.status,
        handler_code(error)
    )
}

/// CloudFormation CLI User Guide, "Handler error codes".
fn handler_code(error: &AwsError) -> &'static str {
    let has = |part: &str| error.code.contains(part);
    match error.status {
        500.. => "ServiceInternalError",
        _ if has("AlreadyExists") || has("AlreadyOwned") => "AlreadyExists",
        _ if has("NotFound") || has("NoSuch") => "NotFound",
        _ if has("AccessDenied") || has("Unauthorized") => "AccessDenied",
        _ if has("LimitExceeded") || has("Quota") => "ServiceLimitExceeded",
        _ if has("Throttl") || has("TooManyRequests") => "Throttling",
        _ if has("InUse") || has("Conflict") || has("NotEmpty") => "ResourceConflict",
        _ => "InvalidRequest",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_reads_as_on_aws() {
        let error = AwsError::new("ResourceAlreadyExistsException", 400, "It exists");
        assert_eq!(
            reason(&error, "AWS::Logs::LogGroup", "id"),
            "Resource handler returned message: \"It exists (Service: Logs, Status Code: 400, Request ID: id)\" \
             (RequestToken: id, HandlerErrorCode: AlreadyExists)"
        );
    }
}
