//! Job definitions: revisions that never change but in status and tags.

use super::names::DefinitionRef;
use super::{container, filled, names, paging, refuse, requirements, tags};
use crate::core::Platform;
use crate::service::BatchService;
use crate::store::{DefinitionPage, StoredDefinition};
use barge_core::{AwsError, Context};
use barge_wire::batch::error::client_exception;
use barge_wire::batch::{
    DescribeJobDefinitionsRequest, DescribeJobDefinitionsResponse, JobDefinition, JobDefinitionType, JobTimeout,
    OrchestrationType, PlatformCapability, RegisterJobDefinitionRequest, RegisterJobDefinitionResponse, RetryStrategy,
};
use std::collections::BTreeMap;

impl BatchService {
    /// Registers a definition's next revision; once where it comes with the token of a template's resource.
    pub(crate) async fn register_definition(
        &self,
        cx: &Context,
        input: RegisterJobDefinitionRequest,
        token: Option<String>,
    ) -> Result<RegisterJobDefinitionResponse, AwsError> {
        let RegisterJobDefinitionRequest {
            job_definition_name: name,
            r#type,
            parameters,
            scheduling_priority,
            container_properties,
            node_properties,
            retry_strategy,
            propagate_tags,
            timeout,
            tags: given_tags,
            platform_capabilities,
            eks_properties,
            ecs_properties,
            consumable_resource_properties,
        } = input;
        if !names::is_legal(&name) {
            return Err(client_exception("Job Definition name should match valid pattern"));
        }
        refuse(&[
            ("type multinode", r#type == JobDefinitionType::Multinode),
            ("nodeProperties", node_properties.is_some()),
            ("eksProperties", eks_properties.is_some()),
            ("ecsProperties", ecs_properties.is_some()),
            ("consumableResourceProperties", consumable_resource_properties.is_some()),
        ])?;
        let platform = platform(platform_capabilities.as_deref())?;
        let properties =
            container_properties.ok_or_else(|| client_exception("containerProperties is not provided."))?;
        container::check(&properties, platform)?;
        // A definition may leave sizes to its jobs only where it gives none at all; what it gives must be legal.
        requirements::needs(cx, platform, container::asked(&properties), requirements::Asked::default())?;
        check_retries(retry_strategy.as_ref())?;
        check_timeout(timeout.as_ref())?;
        tags::check(given_tags.as_ref().unwrap_or(&BTreeMap::new()))?;
        if scheduling_priority.is_some_and(|priority| !(0..=9999).contains(&priority)) {
            return Err(client_exception("schedulingPriority must be between 0 and 9999."));
        }
        let (scope, called) = (cx.scope.clone(), name.clone());
        let made = move |revision| JobDefinition {
            job_definition_arn: scope.arn("batch", format!("job-definition/{called}:{revision}")).to_string(),
            job_definition_name: called,
            revision,
            r#type: JobDefinitionType::Container.as_str().to_owned(),
            scheduling_priority,
            parameters: Some(parameters.unwrap_or_default()),
            retry_strategy,
            container_properties: Some(properties),
            timeout,
            tags: Some(given_tags.unwrap_or_default()),
            propagate_tags,
            platform_capabilities,
            container_orchestration_type: Some(OrchestrationType::Ecs),
            ..JobDefinition::default()
        };
        let made = self.rows.register(cx.scope.clone(), name, token, made).await?;
        Ok(RegisterJobDefinitionResponse {
            job_definition_name: made.job_definition_name,
            job_definition_arn: made.job_definition_arn,
            revision: made.revision,
        })
    }

    pub(super) async fn describe_definitions(
        &self,
        cx: &Context,
        input: DescribeJobDefinitionsRequest,
    ) -> Result<DescribeJobDefinitionsResponse, AwsError> {
        let DescribeJobDefinitionsRequest { job_definitions, max_results, job_definition_name, status, next_token } =
            input;
        if let Some(wanted) = job_definitions.filter(|wanted| !wanted.is_empty()) {
            if wanted.len() > 100 {
                return Err(client_exception("At most 100 job definitions can be described at a time."));
            }
            let mut found = Vec::new();
            for reference in &wanted {
                let known = names::definition(cx, reference);
                let Some(DefinitionRef { name, revision }) = known else { continue };
                found.extend(self.rows.definition(cx.scope.clone(), name, revision).await?);
            }
            return Ok(response(found, None));
        }
        let active = match status.as_deref() {
            None => None,
            Some("ACTIVE") => Some(true),
            Some("INACTIVE") => Some(false),
            Some(other) => return Err(client_exception(format!("{other:?} is no status of a job definition."))),
        };
        let limit = paging::limit(max_results, 100)?;
        let after = next_token.as_deref().map(read_token).transpose()?;
        let page = DefinitionPage { name: job_definition_name, active, after, limit: limit + 1 };
        let mut found = self.rows.definitions(cx.scope.clone(), page).await?;
        let more = found.len() > limit;
        found.truncate(limit);
        let next = found.last().filter(|_| more).map(|last| {
            paging::token(&format!("{}:{}", last.definition.job_definition_name, last.definition.revision))
        });
        Ok(response(found, next))
    }

    /// Makes a revision inactive: no new job can be submitted from it.
    pub(crate) async fn deregister_definition(&self, cx: &Context, reference: &str) -> Result<(), AwsError> {
        let missing = || client_exception(format!("JobDefinition {reference} does not exist"));
        let DefinitionRef { name, revision } = names::definition(cx, reference).ok_or_else(missing)?;
        let revision = revision.ok_or_else(|| client_exception("The job definition's revision is not provided."))?;
        self.rows.deregister(cx.scope.clone(), name, revision).await?.ok_or_else(missing)
    }

    /// The active definition that a submission names.
    pub(super) async fn active_definition(&self, cx: &Context, reference: &str) -> Result<JobDefinition, AwsError> {
        let found = match names::definition(cx, reference) {
            Some(DefinitionRef { name, revision }) => self.rows.definition(cx.scope.clone(), name, revision).await?,
            None => None,
        };
        let active = found.filter(|found| found.active).map(|found| found.definition);
        active.ok_or_else(|| {
            let kind = if reference.starts_with("arn:") { "JobDefinition" } else { "JobDefinition name" };
            client_exception(format!("{kind} {reference} does not exist or is not in ACTIVE status"))
        })
    }
}

fn response(found: Vec<StoredDefinition>, next_token: Option<String>) -> DescribeJobDefinitionsResponse {
    let job_definitions = Some(found.into_iter().map(|found| found.definition).collect());
    DescribeJobDefinitionsResponse { job_definitions, next_token }
}

fn read_token(token: &str) -> Result<(String, i64), AwsError> {
    let text = paging::read_token(token)?;
    let parts = text.rsplit_once(':').and_then(|(name, revision)| Some((name.to_owned(), revision.parse().ok()?)));
    parts.ok_or_else(|| client_exception("Invalid nextToken"))
}

/// What a definition runs on: EC2 where it does not say.
pub(super) fn platform(capabilities: Option<&[PlatformCapability]>) -> Result<Platform, AwsError> {
    match capabilities.unwrap_or_default() {
        [] | [PlatformCapability::Ec2] => Ok(Platform::Ec2),
        [PlatformCapability::Fargate] => Ok(Platform::Fargate),
        [PlatformCapability::ManagedInstances] => {
            refuse(&[("platformCapabilities MANAGED_INSTANCES", true)]).map(|()| Platform::Ec2)
        }
        _ => Err(client_exception("Only one platform capability can be provided.")),
    }
}

/// Checks retries, of a definition or a submission.
pub(super) fn check_retries(strategy: Option<&RetryStrategy>) -> Result<(), AwsError> {
    let Some(RetryStrategy { attempts, evaluate_on_exit }) = strategy else { return Ok(()) };
    refuse(&[("retryStrategy.evaluateOnExit", filled(evaluate_on_exit.as_ref()))])?;
    match attempts {
        Some(attempts) if !(1..=10).contains(attempts) => {
            Err(client_exception("retryStrategy.attempts must be between 1 and 10."))
        }
        _ => Ok(()),
    }
}

/// Checks a timeout, of a definition or a submission.
pub(super) fn check_timeout(timeout: Option<&JobTimeout>) -> Result<(), AwsError> {
    match timeout.and_then(|timeout| timeout.attempt_duration_seconds) {
        Some(seconds) if !(60..=i64::from(i32::MAX)).contains(&seconds) => {
            Err(client_exception("timeout.attemptDurationSeconds must be at least 60."))
        }
        _ => Ok(()),
    }
}
