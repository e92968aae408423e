//! Calls to providers, and the reason of a failed one in CloudFormation's words.

use super::runner::{Call, Happening};
use crate::Registry;
use barge_core::{AwsError, Context};
use futures::FutureExt as _;
use std::panic::AssertUnwindSafe;

/// Makes the call. A provider that panics fails its one resource.
pub(super) async fn make(registry: Registry, cx: Context, type_name: String, call: Call) -> Happening {
    let index = call.index();
    let creating = matches!(call, Call::Create { .. });
    match AssertUnwindSafe(provide(registry, &cx, &type_name, call)).catch_unwind().await {
        Ok(Ok(happening)) => happening,
        Ok(Err(error)) if creating => Happening::CreateFailed(index, reason(&error, &type_name, &cx.request_id)),
        Ok(Err(error)) => Happening::DeleteFailed(index, reason(&error, &type_name, &cx.request_id)),
        Err(_) => {
            tracing::error!(type_name, "a resource provider panicked");
            let text = "Internal Failure".to_owned();
            if creating { Happening::CreateFailed(index, text) } else { Happening::DeleteFailed(index, text) }
        }
    }
}

async fn provide(registry: Registry, cx: &Context, type_name: &str, call: Call) -> Result<Happening, AwsError> {
    let provider = registry
        .provider(type_name)
        .ok_or_else(|| AwsError::not_implemented("AWS CloudFormation", &format!("the resource type {type_name}")))?;
    match call {
        Call::Create { index, creation } => {
            provider.create(cx, &creation).await.map(|resource| Happening::Created(index, resource))
        }
        Call::Delete { index, physical_id, properties } => {
            provider.delete(cx, &physical_id, &properties).await.map(|()| Happening::Deleted(index))
        }
    }
}

/// The reason as a resource handler's error reads on AWS.
fn reason(error: &AwsError, type_name: &str, request_id: &str) -> String {
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
