//! SubmitJob: a definition, overrides and parameters become a job.

mod dependencies;
mod detail;
mod nodes;
mod overrides;
mod parameters;
mod work;

use super::{definition, executing, filled, names, refuse, tags};
use crate::core::{JobId, JobSpec, Kind, QueueId, Refusal, Shape, ShareId, Terms};
use crate::service::BatchService;
use crate::store::NewJob;
use barge_core::{AwsError, Context};
use barge_wire::batch::error::client_exception;
use barge_wire::batch::{
    ArrayProperties, ArrayPropertiesDetail, ContainerOverrides, JobDefinition, JobDetail, NodeOverrides, RetryStrategy,
    SubmitJobRequest, SubmitJobResponse,
};
use std::collections::BTreeMap;
use std::sync::Arc;
use work::Work;

/// Children of an array (API Reference, "ArrayProperties").
const ARRAY_SIZES: std::ops::RangeInclusive<i64> = 2..=10_000;
/// Characters of a share identifier.
const LONGEST_SHARE: usize = 255;
/// How often dependencies are looked up again where one ends between the look and the submission. Each can end but once.
const TRIES: usize = 24;

impl BatchService {
    pub(crate) async fn submit(&self, cx: &Context, input: SubmitJobRequest) -> Result<SubmitJobResponse, AwsError> {
        check(cx, &input)?;
        let queue = names::resolve(cx, "job-queue", &input.job_queue).ok_or_else(|| no_queue(&input.job_queue))?;
        let definition = self.active_definition(cx, &input.job_definition).await?;
        let id = self.new_job_id()?;
        let (name, reference) = (input.job_name.clone(), input.job_queue.clone());
        let (terms, detail) = job(cx, id, queue, definition, input)?;
        let arn = detail.job_arn.clone();
        let body = serde_json::to_string(&detail).map_err(AwsError::internal)?;
        let job = NewJob { id, detail: Arc::new(detail), body };
        self.enter(cx, id, terms, job, &reference).await?;
        Ok(SubmitJobResponse { job_arn: arn, job_name: name, job_id: id.to_string() })
    }

    /// Has the core take the job. What it depends on may end meanwhile: then that is looked up again.
    async fn enter(&self, cx: &Context, id: JobId, terms: Terms, job: NewJob, queue: &str) -> Result<(), AwsError> {
        for _ in 0..TRIES {
            let known = self.known(cx, &terms).await?;
            let spec = JobSpec { id, terms: terms.clone(), known };
            match self.dispatcher.submit(spec, job.clone()).await? {
                Ok(()) => return Ok(()),
                Err(Refusal::DependencyEnded(_)) => {}
                Err(refusal) => return Err(refused(refusal, queue)),
            }
        }
        Err(AwsError::internal("the job's dependencies keep ending"))
    }

    fn new_job_id(&self) -> Result<JobId, AwsError> {
        self.ambient.ids.uuid().parse().map_err(AwsError::internal)
    }
}

fn no_queue(reference: &str) -> AwsError {
    client_exception(format!("JobQueue {reference} not found."))
}

fn refused(refusal: Refusal, queue: &str) -> AwsError {
    match refusal {
        Refusal::NoQueue(_) => no_queue(queue),
        Refusal::QueueDisabled(_) => client_exception(format!("JobQueue {queue} is not in ENABLED state.")),
        Refusal::WrongPlatform(_) => client_exception(
            "Job Queue is attached to Compute Environments that can not run Jobs with the capability of the job definition.",
        ),
        Refusal::ShareNeeded(_) => client_exception(format!(
            "shareIdentifier must be provided: JobQueue {queue} has a fair-share scheduling policy."
        )),
        Refusal::ShareUnknown(_) => client_exception(format!(
            "shareIdentifier must not be provided: JobQueue {queue} has no fair-share scheduling policy."
        )),
        Refusal::NoConsumable(id) => definition::no_consumable(id.as_str()),
        Refusal::NoLiveJob(id) => dependencies::missing(&id.to_string()),
        Refusal::NotSameArray(id) => dependencies::not_same(&id.to_string()),
        other => AwsError::internal(other),
    }
}

fn check(cx: &Context, input: &SubmitJobRequest) -> Result<(), AwsError> {
    // Every member by name, so that one that AWS adds is not overlooked.
    let SubmitJobRequest {
        job_name,
        job_queue: _,
        share_identifier,
        scheduling_priority_override,
        array_properties,
        depends_on: _,
        job_definition: _,
        parameters: _,
        container_overrides: _,
        node_overrides: _,
        retry_strategy,
        propagate_tags: _,
        timeout,
        tags: given_tags,
        eks_properties_override,
        ecs_properties_override: _,
        consumable_resource_properties_override,
    } = input;
    if !names::is_legal(job_name) {
        return Err(executing(cx, "Job name should match valid pattern"));
    }
    refuse(&[("eksPropertiesOverride", eks_properties_override.is_some())])?;
    if let Some(share) = share_identifier {
        let legal = share.bytes().all(|b| b.is_ascii_alphanumeric());
        if share.is_empty() || share.len() > LONGEST_SHARE || !legal {
            return Err(client_exception(format!("shareIdentifier {share:?} is not valid.")));
        }
    }
    definition::check_priority("schedulingPriorityOverride", *scheduling_priority_override)?;
    array_size(array_properties.as_ref())?;
    definition::check_retries(retry_strategy.as_ref())?;
    definition::check_timeout(timeout.as_ref())?;
    definition::check_consumables(consumable_resource_properties_override.as_ref())?;
    tags::check(given_tags.as_ref().unwrap_or(&BTreeMap::new()))
}

fn array_size(properties: Option<&ArrayProperties>) -> Result<Option<u32>, AwsError> {
    match properties.and_then(|properties| properties.size) {
        // Clients send empty members for absent ones.
        None | Some(0) => Ok(None),
        Some(size) if ARRAY_SIZES.contains(&size) => Ok(u32::try_from(size).ok()),
        Some(size) => Err(client_exception(format!("arrayProperties.size must be between 2 and 10000, not {size}."))),
    }
}

/// What the core is told of the job, and what the API shows.
fn job(
    cx: &Context,
    id: JobId,
    queue: String,
    definition: JobDefinition,
    input: SubmitJobRequest,
) -> Result<(Terms, JobDetail), AwsError> {
    let platform = definition::platform(definition.platform_capabilities.as_deref())?;
    let mut parameters = definition.parameters.clone().unwrap_or_default();
    parameters.extend(input.parameters.clone().unwrap_or_default());
    let Work { tasks, main, consumables, container, ecs, nodes, listed } =
        work::work(cx, platform, &definition, &input, &parameters)?;
    let size = array_size(input.array_properties.as_ref())?;
    let kind = match (size, main) {
        (Some(_), Some(_)) => {
            return Err(client_exception("A multi-node parallel job can't be an array job."));
        }
        (Some(size), None) => Kind::Array { size },
        (None, Some(main)) => Kind::Nodes { main },
        (None, None) => Kind::Single,
    };
    let given = input.depends_on.unwrap_or_default();
    let depends_on = dependencies::read(cx, &given, size)?;
    let retry = input.retry_strategy.or(definition.retry_strategy);
    let timeout = input.timeout.or(definition.timeout);
    let priority = input.scheduling_priority_override.or(definition.scheduling_priority);
    let terms = Terms {
        queue: QueueId::new(queue.as_str()),
        share: ShareId::new(input.share_identifier.clone().unwrap_or_default()),
        priority: priority.and_then(|priority| i32::try_from(priority).ok()).unwrap_or(0),
        shape: Arc::new(Shape { platform, tasks, consumables }),
        kind,
        retry: definition::retry(retry.as_ref()),
        timeout: definition::duration(timeout.as_ref()),
        depends_on,
    };
    let detail = JobDetail {
        job_arn: Some(cx.scope.arn("batch", format!("job/{id}")).to_string()),
        job_name: input.job_name,
        job_id: id.to_string(),
        job_queue: queue,
        share_identifier: input.share_identifier,
        scheduling_priority: priority,
        retry_strategy: Some(RetryStrategy {
            attempts: Some(terms.retry.attempts.into()),
            evaluate_on_exit: Some(retry.and_then(|retry| retry.evaluate_on_exit).unwrap_or_default()),
        }),
        depends_on: Some(given),
        job_definition: definition.job_definition_arn,
        container,
        ecs_properties: ecs,
        node_properties: nodes,
        array_properties: size
            .map(|size| ArrayPropertiesDetail { size: Some(size.into()), ..ArrayPropertiesDetail::default() }),
        consumable_resource_properties: listed,
        parameters: Some(parameters),
        timeout,
        tags: Some(input.tags.unwrap_or_default()),
        propagate_tags: input.propagate_tags.or(definition.propagate_tags),
        platform_capabilities: definition.platform_capabilities,
        ..JobDetail::default()
    };
    Ok((terms, detail))
}

/// Refuses overrides of another kind of job than the definition's.
fn check_kind_of_overrides(input: &SubmitJobRequest, kind: &str) -> Result<(), AwsError> {
    let given = [
        (
            "containerOverrides",
            input.container_overrides.as_ref().is_some_and(|given| *given != ContainerOverrides::default()),
        ),
        (
            "ecsPropertiesOverride",
            input.ecs_properties_override.as_ref().is_some_and(|given| filled(given.task_properties.as_ref())),
        ),
        ("nodeOverrides", input.node_overrides.as_ref().is_some_and(|given| *given != NodeOverrides::default())),
    ];
    match given.iter().find(|(name, present)| *present && *name != kind) {
        Some((name, _)) => {
            Err(client_exception(format!("{name} is not applicable to the job definition; use {kind}.")))
        }
        None => Ok(()),
    }
}
