//! Compute environments.
//!
//! Instance types, `minvCpus` and `maxvCpus` are what the core schedules by. Other members that describe instances (roles, keys,
//! subnets and the like) are kept and shown: containers run on this machine. Members that would change what a job sees are refused.

mod change;
mod resources;
mod update;

use super::{names, no_such, nothing, paging};
use crate::core::{EnvironmentId, Event, Refusal};
use crate::dispatcher::{Alteration, Directory};
use crate::service::BatchService;
use crate::store::{EnvironmentRow, Write};
use barge_core::{AwsError, Context};
use barge_wire::batch::error::client_exception;
use barge_wire::batch::{
    CEStatus, CRType, ComputeEnvironmentDetail, ComputeResource, DescribeComputeEnvironmentsRequest,
    DescribeComputeEnvironmentsResponse,
};
use std::collections::BTreeMap;
use update::Consequence;

const KIND: &str = "compute-environment";

fn missing(reference: &str) -> AwsError {
    no_such("Compute environment", reference)
}

fn refused(refusal: Refusal) -> AwsError {
    client_exception(match refusal {
        Refusal::EnvironmentEnabled(_) => "Cannot delete, state must be DISABLED".to_owned(),
        Refusal::EnvironmentInQueue(_) => "Cannot delete, found existing JobQueue relationship".to_owned(),
        Refusal::EnvironmentUpdating(_) => "Cannot update, resource is being modified.".to_owned(),
        Refusal::EnvironmentBusy(_) => "Cannot delete, found active jobs in the compute environment".to_owned(),
        Refusal::NoEnvironment(id) => return missing(id.as_str()),
        other => other.to_string(),
    })
}

/// Whether there are instances.
const fn has_instances(kind: CRType) -> bool {
    matches!(kind, CRType::Ec2 | CRType::Spot)
}

impl BatchService {
    pub(super) async fn describe_environments(
        &self,
        cx: &Context,
        input: DescribeComputeEnvironmentsRequest,
    ) -> Result<DescribeComputeEnvironmentsResponse, AwsError> {
        let DescribeComputeEnvironmentsRequest { compute_environments, max_results, next_token } = input;
        let rows = self.rows.resources::<ComputeEnvironmentDetail>(cx.scope.clone()).await?;
        let mut details: Vec<ComputeEnvironmentDetail> = rows.into_iter().map(|row| row.detail).collect();
        if let Some(wanted) = compute_environments.filter(|wanted| !wanted.is_empty()) {
            let wanted: Vec<_> = wanted.iter().filter_map(|text| names::resolve(cx, KIND, text)).collect();
            details.retain(|detail| wanted.contains(&detail.compute_environment_arn));
        }
        let next = next_token.as_deref();
        let (mut page, next_token) = paging::page(details, |row| &row.compute_environment_name, max_results, next)?;
        self.show_instances(&mut page).await?;
        Ok(DescribeComputeEnvironmentsResponse { compute_environments: Some(page), next_token })
    }

    /// Shows the vCPUs of the instances that there are as `desiredvCpus`, which AWS changes with the demand as well, and
    /// whether instances are being replaced.
    async fn show_instances(&self, page: &mut [ComputeEnvironmentDetail]) -> Result<(), AwsError> {
        let with_instances = |detail: &ComputeEnvironmentDetail| {
            detail.compute_resources.as_ref().is_some_and(|resources| has_instances(resources.r#type))
        };
        let ids = page.iter().filter(|detail| with_instances(detail));
        let ids: Vec<EnvironmentId> = ids.map(|d| EnvironmentId::new(d.compute_environment_arn.as_str())).collect();
        if ids.is_empty() {
            return Ok(());
        }
        let look = move |state: &crate::core::State, _: &Directory| -> BTreeMap<String, (u64, bool)> {
            let fleets = ids.iter().filter_map(|id| Some((id, &state.environment(id)?.fleet)));
            fleets.map(|(id, fleet)| (id.to_string(), (fleet.vcpu_milli(), fleet.is_updating()))).collect()
        };
        let fleets = self.dispatcher.look(look).await?;
        for detail in page {
            let Some((milli, is_updating)) = fleets.get(&detail.compute_environment_arn) else { continue };
            if let Some(resources) = &mut detail.compute_resources {
                resources.desiredv_cpus = i64::try_from(milli.div_ceil(1000)).ok();
            }
            if *is_updating {
                detail.status = Some(CEStatus::Updating);
            }
        }
        Ok(())
    }

    /// Deletes a disabled environment that no queue refers to. One that is not there is deleted already, as in AWS.
    pub(crate) async fn delete_environment(&self, cx: &Context, reference: &str) -> Result<(), AwsError> {
        let Some(arn) = names::resolve(cx, KIND, reference) else { return Err(missing(reference)) };
        let id = EnvironmentId::new(arn);
        self.dispatcher
            .alter(move |_, directory| {
                if directory.environment(&id).is_none() {
                    return Ok(nothing());
                }
                let events = vec![Event::DeleteEnvironment(id.clone())];
                Ok(Alteration { events, refused, writes: vec![Write::DeleteEnvironment(id)] })
            })
            .await
    }
}

fn put(directory: &Directory, row: EnvironmentRow, consequence: Consequence) -> Alteration {
    let spec = directory.environment_spec(&row);
    let events = vec![match consequence {
        Consequence::Scaling => Event::PutEnvironment(spec),
        Consequence::Replacement(grace) => Event::ReplaceInstances(spec, grace),
    }];
    Alteration { events, refused, writes: vec![Write::PutEnvironment(Box::new(row))] }
}

/// The resources of an environment that must have some.
fn provided(resources: Option<ComputeResource>) -> Result<ComputeResource, AwsError> {
    resources.ok_or_else(|| client_exception("computeResources must be provided for a MANAGED compute environment"))
}
