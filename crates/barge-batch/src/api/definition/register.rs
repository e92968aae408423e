//! RegisterJobDefinition.

use super::{Place, check_consumables, check_container, check_retries, check_timeout, ecs, nodes, platform};
use crate::api::{names, refuse, tags};
use crate::core::Platform;
use crate::service::BatchService;
use crate::store::Origin;
use barge_core::{AwsError, Context};
use barge_wire::batch::error::client_exception;
use barge_wire::batch::{
    JobDefinition, JobDefinitionType, OrchestrationType, RegisterJobDefinitionRequest, RegisterJobDefinitionResponse,
};
use std::collections::BTreeMap;

impl BatchService {
    /// Registers a definition's next revision; once where it comes with a template's token.
    pub(crate) async fn register_definition(
        &self,
        cx: &Context,
        input: RegisterJobDefinitionRequest,
        origin: Origin,
    ) -> Result<RegisterJobDefinitionResponse, AwsError> {
        check(cx, &input)?;
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
            eks_properties: _,
            ecs_properties,
            consumable_resource_properties,
        } = input;
        let (scope, called) = (cx.scope.clone(), name.clone());
        let made = move |revision| JobDefinition {
            job_definition_arn: scope.arn("batch", format!("job-definition/{called}:{revision}")).to_string(),
            job_definition_name: called,
            revision,
            r#type: r#type.as_str().to_owned(),
            scheduling_priority,
            parameters: Some(parameters.unwrap_or_default()),
            retry_strategy,
            container_properties,
            node_properties,
            ecs_properties,
            timeout,
            tags: Some(given_tags.unwrap_or_default()),
            propagate_tags,
            platform_capabilities,
            container_orchestration_type: Some(OrchestrationType::Ecs),
            consumable_resource_properties,
            ..JobDefinition::default()
        };
        let made = self.rows.register(cx.scope.clone(), name, origin, made).await?;
        Ok(RegisterJobDefinitionResponse {
            job_definition_name: made.job_definition_name,
            job_definition_arn: made.job_definition_arn,
            revision: made.revision,
        })
    }
}

fn check(cx: &Context, input: &RegisterJobDefinitionRequest) -> Result<(), AwsError> {
    if !names::is_legal(&input.job_definition_name) {
        return Err(client_exception("Job Definition name should match valid pattern"));
    }
    refuse(&[("eksProperties", input.eks_properties.is_some())])?;
    let platform = platform(input.platform_capabilities.as_deref())?;
    check_work(cx, input, platform)?;
    check_consumables(input.consumable_resource_properties.as_ref())?;
    check_retries(input.retry_strategy.as_ref())?;
    check_timeout(input.timeout.as_ref())?;
    tags::check(input.tags.as_ref().unwrap_or(&BTreeMap::new()))?;
    check_priority("schedulingPriority", input.scheduling_priority)
}

/// Checks a scheduling priority, of a definition or a submission.
pub(in crate::api) fn check_priority(member: &str, priority: Option<i64>) -> Result<(), AwsError> {
    match priority {
        Some(priority) if !(0..=9999).contains(&priority) => {
            Err(client_exception(format!("{member} must be between 0 and 9999.")))
        }
        _ => Ok(()),
    }
}

/// Checks what a job of the definition runs.
fn check_work(cx: &Context, input: &RegisterJobDefinitionRequest, platform: Platform) -> Result<(), AwsError> {
    let RegisterJobDefinitionRequest { container_properties, node_properties, ecs_properties, .. } = input;
    match (input.r#type, container_properties, ecs_properties, node_properties) {
        (JobDefinitionType::Container, Some(properties), None, None) => {
            check_container(cx, "containerProperties", properties, platform, Place::Job)
        }
        (JobDefinitionType::Container, None, Some(properties), None) => {
            ecs::check(cx, "ecsProperties", properties, platform)
        }
        (JobDefinitionType::Multinode, None, None, Some(properties)) => {
            if input.consumable_resource_properties.is_some() {
                return Err(client_exception(
                    "consumableResourceProperties of a multi-node parallel job must be given for its node ranges.",
                ));
            }
            nodes::check(cx, properties, platform)
        }
        (JobDefinitionType::Container, None, None, None) => {
            Err(client_exception("containerProperties is not provided."))
        }
        (JobDefinitionType::Multinode, None, None, None) => Err(client_exception("nodeProperties is not provided.")),
        (JobDefinitionType::Container, Some(_), Some(_), _) => {
            Err(client_exception("Only one of containerProperties and ecsProperties can be provided."))
        }
        (JobDefinitionType::Container, _, _, Some(_)) => {
            Err(client_exception("nodeProperties can only be provided for job definitions of type multinode."))
        }
        (JobDefinitionType::Multinode, ..) => Err(client_exception(
            "Job definitions of type multinode take nodeProperties, not containerProperties or ecsProperties.",
        )),
    }
}
