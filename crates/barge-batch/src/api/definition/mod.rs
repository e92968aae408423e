//! Job definitions: revisions that never change but in status and tags.

mod consumables;
mod container;
mod ecs;
mod fargate;
mod linux;
mod logs;
mod nodes;
mod register;
mod requirements;
mod retry;
mod storage;

pub(super) use consumables::{check as check_consumables, missing as no_consumable, needed, overridden};
pub(super) use container::check_environment;
pub(super) use ecs::{needs as task_needs, task};
pub(super) use nodes::check_ranges;
pub(super) use register::check_priority;
pub(super) use requirements::{Asked, check_task, needs};
pub(super) use retry::{check_retries, check_timeout, duration, retry};

use super::names::DefinitionRef;
use super::{names, paging, refuse};
use crate::core::Platform;
use crate::service::BatchService;
use crate::store::{DefinitionPage, Former, StoredDefinition};
use barge_core::{AwsError, Context};
use barge_wire::batch::error::client_exception;
use barge_wire::batch::{
    ContainerProperties, DescribeJobDefinitionsRequest, DescribeJobDefinitionsResponse, JobDefinition,
    PlatformCapability,
};
use container::{Container, check_execution_role, check_role};
use std::time::Duration;

/// How long an inactive definition is shown (API Reference, "DeregisterJobDefinition").
const SHOWN_INACTIVE: Duration = Duration::from_hours(180 * 24);
/// Definitions that can be described by name at a time.
const MOST_NAMES: usize = 100;

impl BatchService {
    pub(super) async fn describe_definitions(
        &self,
        cx: &Context,
        input: DescribeJobDefinitionsRequest,
    ) -> Result<DescribeJobDefinitionsResponse, AwsError> {
        let DescribeJobDefinitionsRequest { job_definitions, max_results, job_definition_name, status, next_token } =
            input;
        if let Some(wanted) = job_definitions.filter(|wanted| !wanted.is_empty()) {
            return self.definitions_by_name(cx, &wanted).await;
        }
        let active = match status.as_deref() {
            None => None,
            Some("ACTIVE") => Some(true),
            Some("INACTIVE") => Some(false),
            Some(other) => return Err(client_exception(format!("{other:?} is no status of a job definition."))),
        };
        let limit = paging::limit(max_results, 100)?;
        let after = next_token.as_deref().map(read_token).transpose()?;
        let shown_since = self.ambient.clock.now().millis() - millis(SHOWN_INACTIVE);
        let page = DefinitionPage { name: job_definition_name, active, shown_since, after, limit: limit + 1 };
        let mut found = self.rows.definitions(cx.scope.clone(), page).await?;
        let more = found.len() > limit;
        found.truncate(limit);
        let next = found.last().filter(|_| more).map(|last| {
            paging::token(&format!("{}:{}", last.definition.job_definition_name, last.definition.revision))
        });
        Ok(response(found, next))
    }

    async fn definitions_by_name(
        &self,
        cx: &Context,
        wanted: &[String],
    ) -> Result<DescribeJobDefinitionsResponse, AwsError> {
        if wanted.len() > MOST_NAMES {
            return Err(client_exception(format!("At most {MOST_NAMES} job definitions can be described at a time.")));
        }
        let mut found = Vec::new();
        for reference in wanted {
            let Some(DefinitionRef { name, revision }) = names::definition(cx, reference) else { continue };
            found.extend(self.rows.definition(cx.scope.clone(), name, revision).await?);
        }
        Ok(response(found, None))
    }

    /// Makes a revision inactive: no new job can be submitted from it.
    pub(crate) async fn deregister_definition(&self, cx: &Context, reference: &str) -> Result<(), AwsError> {
        let missing = || client_exception(format!("JobDefinition {reference} does not exist"));
        let DefinitionRef { name, revision } = names::definition(cx, reference).ok_or_else(missing)?;
        let revision = revision.ok_or_else(|| client_exception("The job definition's revision is not provided."))?;
        let now = self.ambient.clock.now();
        self.rows.deregister(cx.scope.clone(), name, revision, now).await?.ok_or_else(missing)
    }

    /// Makes a template's revision inactive, unless a later one, which has taken its place, says that it stays.
    pub(crate) async fn retire_definition(&self, cx: &Context, arn: &str) -> Result<(), AwsError> {
        let of = names::definition(cx, arn);
        let latest = match &of {
            Some(DefinitionRef { name, .. }) => self.rows.definition(cx.scope.clone(), name.clone(), None).await?,
            None => None,
        };
        let revision = of.and_then(|of| of.revision);
        match latest {
            Some(latest) if latest.former == Former::Kept && Some(latest.definition.revision) > revision => Ok(()),
            _ => self.deregister_definition(cx, arn).await,
        }
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

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
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

/// Where `containerProperties` stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// In a definition of type `container`.
    Job,
    /// In a node range.
    Node,
}

/// Checks a definition's or a node's only container.
fn check_container(
    cx: &Context,
    at: &str,
    properties: &ContainerProperties,
    platform: Platform,
    place: Place,
) -> Result<(), AwsError> {
    // Every member by name, so that one that AWS adds is not overlooked.
    let ContainerProperties {
        job_role_arn,
        execution_role_arn,
        volumes,
        instance_type,
        network_configuration,
        fargate_platform_configuration,
        enable_execute_command,
        ephemeral_storage,
        runtime_platform,
        // Sizes are `asked`'s.
        vcpus: _,
        memory: _,
        resource_requirements: _,
        // Looked at with every container, or can't be wrong.
        command: _,
        image: _,
        environment: _,
        mount_points: _,
        readonly_root_filesystem: _,
        privileged: _,
        ulimits: _,
        user: _,
        linux_parameters: _,
        log_configuration: _,
        secrets: _,
        repository_credentials: _,
    } = properties;
    if place == Place::Job && instance_type.is_some() {
        return Err(client_exception(format!("{at}.instanceType is not applicable to single-node container jobs.")));
    }
    refuse(&[
        (&format!("{at}.instanceType"), instance_type.is_some()),
        (&format!("{at}.enableExecuteCommand"), *enable_execute_command == Some(true)),
    ])?;
    check_role("jobRoleArn", job_role_arn.as_deref())?;
    check_execution_role(execution_role_arn.as_deref(), platform)?;
    storage::check_volumes(at, volumes.as_ref(), platform)?;
    storage::check_ephemeral(at, ephemeral_storage.as_ref(), platform)?;
    if let Some(given) = fargate_platform_configuration {
        let version = Some(given.platform_version.as_deref().unwrap_or("LATEST"));
        fargate::check_version(&format!("{at}.fargatePlatformConfiguration"), version, platform)?;
    }
    fargate::check_network(at, network_configuration.as_ref(), platform)?;
    fargate::check_runtime(runtime_platform.as_ref())?;
    Container::single(at, properties).check(platform, volumes.as_ref(), execution_role_arn.as_deref())?;
    asked(properties).check(platform)?;
    check_task(needs(cx, asked(properties), Asked::default())?, platform)
}

/// What a definition's container asks for.
pub(super) fn asked(properties: &ContainerProperties) -> Asked<'_> {
    Asked {
        requirements: properties.resource_requirements.as_ref(),
        vcpus: properties.vcpus,
        memory: properties.memory,
    }
}
