//! A bucket's settings: notification configuration, policy, public access block, ownership controls.

use super::Request;
use crate::caller::Caller;
use crate::core::Core;
use crate::error::{
    INVALID_ARGUMENT, INVALID_REQUEST, MALFORMED_POLICY, MALFORMED_XML, NO_SUCH_BUCKET_POLICY,
    NO_SUCH_OWNERSHIP_CONTROLS, NO_SUCH_PUBLIC_ACCESS_BLOCK, Result, not_implemented,
};
use crate::meta::{Bucket, OwnershipControls as Ownership, PublicAccessBlock, Settings, buckets};
use crate::notify::config::Filter;
use crate::notify::{Notification, SERVICE, Target, bucket_arn};
use barge_core::{Document, Scope};
use s3s::dto::{
    DeleteBucketOwnershipControlsInput, DeleteBucketOwnershipControlsOutput, DeleteBucketPolicyInput,
    DeleteBucketPolicyOutput, DeletePublicAccessBlockInput, DeletePublicAccessBlockOutput, EventBridgeConfiguration,
    FilterRule, GetBucketNotificationConfigurationInput, GetBucketNotificationConfigurationOutput,
    GetBucketOwnershipControlsInput, GetBucketOwnershipControlsOutput, GetBucketPolicyInput, GetBucketPolicyOutput,
    GetPublicAccessBlockInput, GetPublicAccessBlockOutput, LambdaFunctionConfiguration, NotificationConfiguration,
    NotificationConfigurationFilter, ObjectOwnership, OwnershipControls, OwnershipControlsRule,
    PublicAccessBlockConfiguration, PutBucketNotificationConfigurationInput, PutBucketNotificationConfigurationOutput,
    PutBucketOwnershipControlsInput, PutBucketOwnershipControlsOutput, PutBucketPolicyInput, PutBucketPolicyOutput,
    PutPublicAccessBlockInput, PutPublicAccessBlockOutput, S3KeyFilter,
};
use std::sync::Arc;

/// Bytes that a bucket policy may have.
const LARGEST_POLICY: usize = 20 * 1024;

/// The settings of the caller's bucket.
pub(super) async fn look(core: &Core, caller: Caller, bucket: String, owner: Option<String>) -> Result<Settings> {
    Ok(find(core, caller, bucket, owner).await?.settings)
}

async fn find(core: &Core, caller: Caller, bucket: String, owner: Option<String>) -> Result<Bucket> {
    core.read(move |connection| {
        let bucket = caller.bucket(connection, &bucket)?;
        bucket.check_owner(owner.as_deref())?;
        Ok(bucket)
    })
    .await
}

/// Changes the settings of the caller's bucket.
pub(super) async fn change(
    core: &Arc<Core>,
    caller: Caller,
    bucket: String,
    owner: Option<String>,
    change: impl FnOnce(&mut Settings) + Send + 'static,
) -> Result<()> {
    core.commit(move |tx, _| {
        let mut bucket = caller.bucket(tx, &bucket)?;
        bucket.check_owner(owner.as_deref())?;
        change(&mut bucket.settings);
        buckets::configure(tx, bucket.id, &bucket.settings)
    })
    .await
}

/// [`change`] for whoever is not a client of S3's API.
pub(crate) async fn reconfigure(
    core: &Arc<Core>,
    caller: Caller,
    bucket: String,
    with: impl FnOnce(&mut Settings) + Send + 'static,
) -> Result<()> {
    change(core, caller, bucket, None, with).await
}

/// `InvalidArgument` unless every function exists and permits the bucket to invoke it.
pub(crate) async fn check_targets(core: &Core, notification: &Notification, bucket: &str, scope: &Scope) -> Result<()> {
    let source = bucket_arn(bucket);
    for target in &notification.targets {
        let permitted = core.functions.permits(&target.function, SERVICE, &source, scope.account.as_str());
        match permitted.await {
            Ok(true) => {}
            Err(error) if error.status >= 500 => return Err(error.into()),
            Ok(false) | Err(_) => {
                return Err(INVALID_ARGUMENT.because("Unable to validate the following destination configurations"));
            }
        }
    }
    Ok(())
}

fn lacking(configuration: &NotificationConfiguration) -> Result<()> {
    let some = |length: Option<usize>| length.is_some_and(|length| length > 0);
    if some(configuration.queue_configurations.as_ref().map(Vec::len)) {
        return Err(not_implemented("QueueConfigurations (Amazon SQS)"));
    }
    if some(configuration.topic_configurations.as_ref().map(Vec::len)) {
        return Err(not_implemented("TopicConfigurations (Amazon SNS)"));
    }
    Ok(())
}

fn target(core: &Core, configuration: LambdaFunctionConfiguration) -> Result<Target> {
    let rules = configuration.filter.and_then(|filter| filter.key).and_then(|key| key.filter_rules).unwrap_or_default();
    let rule = |rule: FilterRule| {
        let name = rule.name.map(|name| name.as_str().to_owned()).unwrap_or_default();
        (name, rule.value.unwrap_or_default())
    };
    Ok(Target {
        id: configuration.id.filter(|id| !id.is_empty()).unwrap_or_else(|| core.ambient.ids.uuid()),
        function: configuration
            .lambda_function_arn
            .parse()
            .map_err(|_| INVALID_ARGUMENT.because("The ARN is not well formed"))?,
        events: configuration.events.into_iter().map(String::from).collect(),
        filter: Filter::from_rules(rules.into_iter().map(rule))?,
    })
}

pub(super) async fn put_notification(
    core: &Arc<Core>,
    request: Request<PutBucketNotificationConfigurationInput>,
) -> Result<PutBucketNotificationConfigurationOutput> {
    let Request { caller, input, .. } = request;
    let configuration = input.notification_configuration;
    lacking(&configuration)?;
    let functions = configuration.lambda_function_configurations.unwrap_or_default();
    let notification = Notification {
        targets: functions.into_iter().map(|function| target(core, function)).collect::<Result<_>>()?,
        event_bridge: configuration.event_bridge_configuration.is_some(),
    };
    let owner = input.expected_bucket_owner;
    let bucket = find(core, caller.clone(), input.bucket.clone(), owner.clone()).await?;
    notification.check(&bucket.scope)?;
    if input.skip_destination_validation != Some(true) {
        check_targets(core, &notification, &bucket.name, &bucket.scope).await?;
    }
    change(core, caller, input.bucket, owner, |settings| settings.notification = notification).await?;
    Ok(PutBucketNotificationConfigurationOutput::default())
}

fn shown(target: Target) -> LambdaFunctionConfiguration {
    let rule = |name: &str, value: String| FilterRule { name: Some(name.to_owned().into()), value: Some(value) };
    let rules: Vec<_> = [("Prefix", target.filter.prefix), ("Suffix", target.filter.suffix)]
        .into_iter()
        .filter(|(_, value)| !value.is_empty())
        .map(|(name, value)| rule(name, value))
        .collect();
    let filter = (!rules.is_empty())
        .then_some(NotificationConfigurationFilter { key: Some(S3KeyFilter { filter_rules: Some(rules) }) });
    LambdaFunctionConfiguration {
        id: Some(target.id),
        lambda_function_arn: target.function.to_string(),
        events: target.events.into_iter().map(Into::into).collect(),
        filter,
    }
}

pub(super) async fn get_notification(
    core: &Arc<Core>,
    request: Request<GetBucketNotificationConfigurationInput>,
) -> Result<GetBucketNotificationConfigurationOutput> {
    let Request { caller, input, .. } = request;
    let notification = look(core, caller, input.bucket, input.expected_bucket_owner).await?.notification;
    let functions: Vec<_> = notification.targets.into_iter().map(shown).collect();
    Ok(GetBucketNotificationConfigurationOutput {
        event_bridge_configuration: notification.event_bridge.then(EventBridgeConfiguration::default),
        lambda_function_configurations: (!functions.is_empty()).then_some(functions),
        ..GetBucketNotificationConfigurationOutput::default()
    })
}

/// `MalformedPolicy` unless `policy` is a policy document for `bucket`. What it says is not checked further.
pub(crate) fn check_policy(policy: &str, bucket: &str) -> Result<()> {
    if policy.len() > LARGEST_POLICY {
        return Err(INVALID_ARGUMENT.because("The policy exceeds the maximum allowed document size."));
    }
    let document = Document::from_json(policy.as_bytes()).ok().filter(|document| document.as_map().is_some());
    let document = document.ok_or(MALFORMED_POLICY)?;
    let statements = match document.get("Statement") {
        Some(Document::List(list)) if !list.is_empty() => list.as_slice(),
        Some(statement @ Document::Map(_)) => std::slice::from_ref(statement),
        _ => return Err(MALFORMED_POLICY.because("Missing required field Statement")),
    };
    for statement in statements {
        if !matches!(statement.get("Effect").and_then(Document::as_str), Some("Allow" | "Deny")) {
            return Err(MALFORMED_POLICY.because("Missing required field Effect"));
        }
        for (one, other) in [("Principal", "NotPrincipal"), ("Action", "NotAction"), ("Resource", "NotResource")] {
            if statement.get(one).is_none() && statement.get(other).is_none() {
                return Err(MALFORMED_POLICY.because(format!("Missing required field {one}")));
            }
        }
        let own = bucket_arn(bucket).to_string();
        let ours = |text: &str| text == own || text.strip_prefix(&own).is_some_and(|rest| rest.starts_with('/'));
        let resources = match statement.get("Resource") {
            Some(Document::List(list)) => list.iter().filter_map(Document::as_str).collect(),
            Some(resource) => resource.as_str().into_iter().collect(),
            None => Vec::new(),
        };
        if !resources
            .into_iter()
            .all(|resource| ours(resource) || resource == "*" || resource.contains(['*', '?', '$']))
        {
            return Err(MALFORMED_POLICY.because("Policy has invalid resource"));
        }
    }
    Ok(())
}

pub(super) async fn put_policy(
    core: &Arc<Core>,
    request: Request<PutBucketPolicyInput>,
) -> Result<PutBucketPolicyOutput> {
    let Request { caller, input, .. } = request;
    check_policy(&input.policy, &input.bucket)?;
    change(core, caller, input.bucket, input.expected_bucket_owner, |settings| settings.policy = Some(input.policy))
        .await?;
    Ok(PutBucketPolicyOutput::default())
}

pub(super) async fn get_policy(
    core: &Arc<Core>,
    request: Request<GetBucketPolicyInput>,
) -> Result<GetBucketPolicyOutput> {
    let Request { caller, input, .. } = request;
    let policy = look(core, caller, input.bucket, input.expected_bucket_owner).await?.policy;
    Ok(GetBucketPolicyOutput { policy: Some(policy.ok_or(NO_SUCH_BUCKET_POLICY)?) })
}

pub(super) async fn delete_policy(
    core: &Arc<Core>,
    request: Request<DeleteBucketPolicyInput>,
) -> Result<DeleteBucketPolicyOutput> {
    let Request { caller, input, .. } = request;
    change(core, caller, input.bucket, input.expected_bucket_owner, |settings| settings.policy = None).await?;
    Ok(DeleteBucketPolicyOutput::default())
}

pub(super) async fn put_public_access_block(
    core: &Arc<Core>,
    request: Request<PutPublicAccessBlockInput>,
) -> Result<PutPublicAccessBlockOutput> {
    let Request { caller, input, .. } = request;
    let given = input.public_access_block_configuration;
    let block = PublicAccessBlock {
        block_public_acls: given.block_public_acls == Some(true),
        ignore_public_acls: given.ignore_public_acls == Some(true),
        block_public_policy: given.block_public_policy == Some(true),
        restrict_public_buckets: given.restrict_public_buckets == Some(true),
    };
    let owner = input.expected_bucket_owner;
    change(core, caller, input.bucket, owner, move |settings| settings.public_access_block = Some(block)).await?;
    Ok(PutPublicAccessBlockOutput::default())
}

pub(super) async fn get_public_access_block(
    core: &Arc<Core>,
    request: Request<GetPublicAccessBlockInput>,
) -> Result<GetPublicAccessBlockOutput> {
    let Request { caller, input, .. } = request;
    let settings = look(core, caller, input.bucket, input.expected_bucket_owner).await?;
    let block = settings.public_access_block.ok_or(NO_SUCH_PUBLIC_ACCESS_BLOCK)?;
    Ok(GetPublicAccessBlockOutput {
        public_access_block_configuration: Some(PublicAccessBlockConfiguration {
            block_public_acls: Some(block.block_public_acls),
            ignore_public_acls: Some(block.ignore_public_acls),
            block_public_policy: Some(block.block_public_policy),
            restrict_public_buckets: Some(block.restrict_public_buckets),
        }),
    })
}

pub(super) async fn delete_public_access_block(
    core: &Arc<Core>,
    request: Request<DeletePublicAccessBlockInput>,
) -> Result<DeletePublicAccessBlockOutput> {
    let Request { caller, input, .. } = request;
    let owner = input.expected_bucket_owner;
    change(core, caller, input.bucket, owner, |settings| settings.public_access_block = None).await?;
    Ok(DeletePublicAccessBlockOutput::default())
}

pub(super) async fn put_ownership_controls(
    core: &Arc<Core>,
    request: Request<PutBucketOwnershipControlsInput>,
) -> Result<PutBucketOwnershipControlsOutput> {
    let Request { caller, input, .. } = request;
    match input.ownership_controls.rules.as_slice() {
        [rule] if rule.object_ownership.as_str() == ObjectOwnership::BUCKET_OWNER_ENFORCED => {}
        [rule] if matches!(rule.object_ownership.as_str(), "BucketOwnerPreferred" | "ObjectWriter") => {
            return Err(not_implemented("an ObjectOwnership other than BucketOwnerEnforced"));
        }
        [_] => return Err(MALFORMED_XML.into()),
        _ => return Err(INVALID_REQUEST.because("OwnershipControls must have exactly one rule")),
    }
    let owner = input.expected_bucket_owner;
    change(core, caller, input.bucket, owner, |settings| settings.ownership_controls = Ownership::BucketOwnerEnforced)
        .await?;
    Ok(PutBucketOwnershipControlsOutput::default())
}

pub(super) async fn get_ownership_controls(
    core: &Arc<Core>,
    request: Request<GetBucketOwnershipControlsInput>,
) -> Result<GetBucketOwnershipControlsOutput> {
    let Request { caller, input, .. } = request;
    match look(core, caller, input.bucket, input.expected_bucket_owner).await?.ownership_controls {
        Ownership::Absent => Err(NO_SUCH_OWNERSHIP_CONTROLS.into()),
        Ownership::BucketOwnerEnforced => {
            let enforced = ObjectOwnership::from_static(ObjectOwnership::BUCKET_OWNER_ENFORCED);
            let rules = vec![OwnershipControlsRule { object_ownership: enforced }];
            Ok(GetBucketOwnershipControlsOutput { ownership_controls: Some(OwnershipControls { rules }) })
        }
    }
}

pub(super) async fn delete_ownership_controls(
    core: &Arc<Core>,
    request: Request<DeleteBucketOwnershipControlsInput>,
) -> Result<DeleteBucketOwnershipControlsOutput> {
    let Request { caller, input, .. } = request;
    let owner = input.expected_bucket_owner;
    change(core, caller, input.bucket, owner, |settings| settings.ownership_controls = Ownership::Absent).await?;
    Ok(DeleteBucketOwnershipControlsOutput::default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn policies_are_documents_about_their_bucket() {
        let policy = |resource: &str| {
            format!(
                r#"{{"Version":"2012-10-17","Statement":[{{"Effect":"Allow","Principal":"*","Action":"s3:GetObject","Resource":"{resource}"}}]}}"#
            )
        };
        assert!(check_policy(&policy("arn:aws:s3:::b/*"), "b").is_ok());
        assert!(check_policy(&policy("arn:aws:s3:::b"), "b").is_ok());
        for text in [
            "",
            "[]",
            "{",
            "{}",
            r#"{"Statement":[{"Effect":"Allow"}]}"#,
            r#"{"Statement":[{"Effect":"Maybe","Principal":"*","Action":"*","Resource":"*"}]}"#,
            &policy("arn:aws:s3:::other/key"),
        ] {
            assert!(check_policy(text, "b").is_err(), "{text}");
        }
    }
}
