//! SubmitJob: a definition, overrides and parameters become a job.

use super::{container, definitions, executing, filled, names, refuse, requirements, tags};
use crate::core::{JobId, JobSpec, QueueId, Refusal};
use crate::service::BatchService;
use crate::store::NewJob;
use barge_core::{AwsError, Context};
use barge_wire::batch::error::client_exception;
use barge_wire::batch::{
    ContainerDetail, ContainerOverrides, ContainerProperties, JobDetail, JobTimeout, KeyValuePair, ResourceRequirement,
    RetryStrategy, SubmitJobRequest, SubmitJobResponse,
};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

impl BatchService {
    pub(crate) async fn submit(&self, cx: &Context, input: SubmitJobRequest) -> Result<SubmitJobResponse, AwsError> {
        check(cx, &input)?;
        let queue = names::resolve(cx, "job-queue", &input.job_queue).ok_or_else(|| no_queue(&input.job_queue))?;
        let definition = self.active_definition(cx, &input.job_definition).await?;
        let id = self.new_job_id()?;
        let platform = definitions::platform(definition.platform_capabilities.as_deref())?;
        let properties = definition.container_properties.unwrap_or_default();
        let overrides = input.container_overrides.unwrap_or_default();
        check_overrides(&overrides)?;
        let asked = asked(&overrides);
        asked.check(platform)?;
        let needs = requirements::needs(cx, platform, container::asked(&properties), asked)?;
        let parameters = merged(definition.parameters.unwrap_or_default(), input.parameters.unwrap_or_default());
        let retry = input.retry_strategy.or(definition.retry_strategy);
        let timeout = input.timeout.or(definition.timeout);
        let spec = JobSpec {
            id,
            queue: QueueId::new(queue.as_str()),
            needs,
            platform,
            attempts_allowed: attempts(retry.as_ref()),
            timeout: duration(timeout.as_ref()),
        };
        let arn = cx.scope.arn("batch", format!("job/{id}")).to_string();
        let detail = JobDetail {
            job_arn: Some(arn.clone()),
            job_name: input.job_name.clone(),
            job_id: id.to_string(),
            job_queue: queue,
            scheduling_priority: definition.scheduling_priority,
            retry_strategy: Some(RetryStrategy {
                attempts: Some(spec.attempts_allowed.into()),
                evaluate_on_exit: Some(Vec::new()),
            }),
            depends_on: Some(Vec::new()),
            job_definition: definition.job_definition_arn,
            container: Some(container_detail(properties, overrides, &parameters)),
            parameters: Some(parameters),
            timeout,
            tags: Some(input.tags.unwrap_or_default()),
            propagate_tags: input.propagate_tags.or(definition.propagate_tags),
            platform_capabilities: definition.platform_capabilities,
            ..JobDetail::default()
        };
        let body = serde_json::to_string(&detail).map_err(AwsError::internal)?;
        let job = NewJob { id, detail: Arc::new(detail), body };
        self.dispatcher.submit(spec, job).await?.map_err(|refusal| refused(refusal, &input.job_queue))?;
        Ok(SubmitJobResponse { job_arn: Some(arn), job_name: input.job_name, job_id: id.to_string() })
    }

    fn new_job_id(&self) -> Result<JobId, AwsError> {
        self.ambient.ids.uuid().parse().map_err(AwsError::internal)
    }
}

fn no_queue(reference: &str) -> AwsError {
    client_exception(format!("JobQueue {reference} not found."))
}

fn refused(refusal: Refusal, reference: &str) -> AwsError {
    match refusal {
        Refusal::NoQueue(_) => no_queue(reference),
        Refusal::QueueDisabled(_) => client_exception(format!("JobQueue {reference} is not in ENABLED state.")),
        Refusal::WrongPlatform(_) => client_exception(
            "Job Queue is attached to Compute Environments that can not run Jobs with the capability of the job definition.",
        ),
        other => AwsError::internal(other),
    }
}

fn check(cx: &Context, input: &SubmitJobRequest) -> Result<(), AwsError> {
    let SubmitJobRequest {
        job_name,
        job_queue: _,
        share_identifier,
        scheduling_priority_override,
        array_properties,
        depends_on,
        job_definition: _,
        parameters: _,
        container_overrides: _,
        node_overrides,
        retry_strategy,
        propagate_tags: _,
        timeout,
        tags: given_tags,
        eks_properties_override,
        ecs_properties_override,
        consumable_resource_properties_override,
    } = input;
    if !names::is_legal(job_name) {
        return Err(executing(cx, "Job name should match valid pattern"));
    }
    refuse(&[
        ("shareIdentifier", share_identifier.is_some()),
        ("schedulingPriorityOverride", scheduling_priority_override.is_some()),
        ("arrayProperties", array_properties.as_ref().is_some_and(|array| array.size.is_some())),
        ("dependsOn", filled(depends_on.as_ref())),
        ("nodeOverrides", node_overrides.is_some()),
        ("eksPropertiesOverride", eks_properties_override.is_some()),
        ("ecsPropertiesOverride", ecs_properties_override.is_some()),
        ("consumableResourcePropertiesOverride", consumable_resource_properties_override.is_some()),
    ])?;
    definitions::check_retries(retry_strategy.as_ref())?;
    definitions::check_timeout(timeout.as_ref())?;
    tags::check(given_tags.as_ref().unwrap_or(&BTreeMap::new()))
}

fn check_overrides(overrides: &ContainerOverrides) -> Result<(), AwsError> {
    let ContainerOverrides { vcpus: _, memory: _, resource_requirements: _, command, instance_type, environment } =
        overrides;
    refuse(&[("containerOverrides.instanceType", instance_type.is_some())])?;
    if command.iter().flatten().any(String::is_empty) {
        return Err(client_exception("containerOverrides.command can't contain an empty string."));
    }
    container::check_environment(environment.as_ref())
}

fn asked(overrides: &ContainerOverrides) -> requirements::Asked<'_> {
    requirements::Asked {
        requirements: overrides.resource_requirements.as_ref(),
        vcpus: overrides.vcpus,
        memory: overrides.memory,
    }
}

fn attempts(retry: Option<&RetryStrategy>) -> u32 {
    retry.and_then(|retry| retry.attempts).and_then(|attempts| u32::try_from(attempts).ok()).unwrap_or(1)
}

fn duration(timeout: Option<&JobTimeout>) -> Option<Duration> {
    let seconds = timeout?.attempt_duration_seconds?;
    u64::try_from(seconds).ok().map(Duration::from_secs)
}

fn merged(mut defaults: BTreeMap<String, String>, given: BTreeMap<String, String>) -> BTreeMap<String, String> {
    defaults.extend(given);
    defaults
}

/// The container as the job will run it: overrides and parameters applied.
fn container_detail(
    properties: ContainerProperties,
    overrides: ContainerOverrides,
    parameters: &BTreeMap<String, String>,
) -> ContainerDetail {
    let command = overrides.command.filter(|command| !command.is_empty()).or(properties.command).unwrap_or_default();
    ContainerDetail {
        image: properties.image,
        vcpus: overrides.vcpus.or(properties.vcpus),
        memory: overrides.memory.or(properties.memory),
        command: Some(command.iter().map(|word| substitute(word, parameters)).collect()),
        job_role_arn: properties.job_role_arn,
        execution_role_arn: properties.execution_role_arn,
        volumes: Some(Vec::new()),
        environment: Some(environment(properties.environment, overrides.environment)),
        mount_points: Some(Vec::new()),
        readonly_root_filesystem: properties.readonly_root_filesystem,
        ulimits: Some(Vec::new()),
        privileged: properties.privileged,
        user: properties.user,
        network_interfaces: Some(Vec::new()),
        resource_requirements: Some(requirement_list(
            properties.resource_requirements,
            overrides.resource_requirements,
        )),
        linux_parameters: properties.linux_parameters,
        log_configuration: properties.log_configuration,
        secrets: Some(Vec::new()),
        network_configuration: properties.network_configuration,
        fargate_platform_configuration: properties.fargate_platform_configuration,
        runtime_platform: properties.runtime_platform,
        ..ContainerDetail::default()
    }
}

fn environment(own: Option<Vec<KeyValuePair>>, overrides: Option<Vec<KeyValuePair>>) -> Vec<KeyValuePair> {
    let mut all = own.unwrap_or_default();
    for pair in overrides.into_iter().flatten() {
        all.retain(|other| other.name != pair.name);
        all.push(pair);
    }
    all
}

fn requirement_list(
    own: Option<Vec<ResourceRequirement>>,
    overrides: Option<Vec<ResourceRequirement>>,
) -> Vec<ResourceRequirement> {
    let mut all = own.unwrap_or_default();
    for requirement in overrides.into_iter().flatten() {
        all.retain(|other| other.r#type != requirement.r#type);
        all.push(requirement);
    }
    all
}

/// Replaces each `Ref::name` by the parameter of that name (Batch User Guide, "Job definition parameters"). A name that
/// is no parameter stays as it is.
fn substitute(word: &str, parameters: &BTreeMap<String, String>) -> String {
    const MARK: &str = "Ref::";
    let mut result = String::with_capacity(word.len());
    let mut rest = word;
    while let Some(at) = rest.find(MARK) {
        let (before, marked) = rest.split_at(at);
        let after = &marked[MARK.len()..];
        let legal = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
        let end = after.find(|c| !legal(c)).unwrap_or(after.len());
        let (name, tail) = after.split_at(end);
        result.push_str(before);
        match parameters.get(name) {
            Some(value) => result.push_str(value),
            None => result.extend([MARK, name]),
        }
        rest = tail;
    }
    result.push_str(rest);
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_replace_their_references() {
        let parameters = [("in", "s3://b/k"), ("n", "3"), ("loop", "Ref::n")];
        let parameters = parameters.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        for (word, expected) in [
            ("Ref::in", "s3://b/k"),
            ("--in=Ref::in,Ref::n", "--in=s3://b/k,3"),
            ("Ref::other", "Ref::other"),
            ("Ref::loop", "Ref::n"),
            ("Ref::", "Ref::"),
            ("plain é", "plain é"),
        ] {
            assert_eq!(substitute(word, &parameters), expected);
        }
    }

    #[test]
    fn overrides_replace_variables_by_name() {
        let pair = |name: &str, value: &str| KeyValuePair { name: Some(name.into()), value: Some(value.into()) };
        let all = environment(Some(vec![pair("A", "1"), pair("B", "2")]), Some(vec![pair("A", "3"), pair("C", "4")]));
        assert_eq!(all, [pair("B", "2"), pair("A", "3"), pair("C", "4")]);
    }
}
