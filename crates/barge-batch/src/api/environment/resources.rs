//! `computeResources`: which members go together (API Reference, "ComputeResource").

use super::has_instances;
use crate::api::{filled, refuse};
use crate::prices::{Catalog, Spot};
use barge_core::AwsError;
use barge_wire::batch::error::client_exception;
use barge_wire::batch::{CRAllocationStrategy, CRType, ComputeResource, Ec2Configuration};

/// Images of Amazon ECS without drivers for GPUs.
const IMAGE_TYPES: [&str; 2] = ["ECS_AL2", "ECS_AL2023"];

/// Resources with AWS's defaults where nothing is said.
pub(super) fn completed(mut resources: ComputeResource) -> ComputeResource {
    if has_instances(resources.r#type) {
        resources.minv_cpus.get_or_insert(0);
        resources.allocation_strategy.get_or_insert(CRAllocationStrategy::BestFit);
    }
    resources
}

/// Checks resources, as created or after an update.
pub(super) fn check(resources: &ComputeResource) -> Result<(), AwsError> {
    // Every member by name, so that one that AWS adds is not overlooked.
    let ComputeResource {
        r#type,
        maxv_cpus,
        subnets,
        image_id,
        launch_template,
        ec2_configuration,
        scaling_policy,
        managed_instances_provider,
        capacity_tags,
        // By platform.
        allocation_strategy: _,
        minv_cpus: _,
        desiredv_cpus: _,
        instance_types: _,
        security_group_ids: _,
        ec2_key_pair: _,
        instance_role: _,
        tags: _,
        placement_group: _,
        bid_percentage: _,
        spot_iam_fleet_role: _,
    } = resources;
    refuse(&[
        ("computeResources.type ECS_MANAGED_INSTANCES", *r#type == CRType::EcsManagedInstances),
        ("computeResources.imageId", image_id.is_some()),
        ("computeResources.launchTemplate", launch_template.is_some()),
        ("computeResources.scalingPolicy", scaling_policy.is_some()),
        ("computeResources.managedInstancesProvider", managed_instances_provider.is_some()),
        ("computeResources.capacityTags", capacity_tags.is_some()),
    ])?;
    check_images(ec2_configuration.as_deref().unwrap_or_default())?;
    if *maxv_cpus < 1 {
        return Err(client_exception("computeResources.maxvCpus must be at least 1."));
    }
    if !filled(subnets.as_ref()) {
        return Err(client_exception("computeResources.subnets must be provided."));
    }
    if has_instances(*r#type) { check_instances(resources) } else { check_fargate(resources) }
}

/// Checks image types. They are kept and shown: of those without a GPU none changes how a container runs.
fn check_images(configuration: &[Ec2Configuration]) -> Result<(), AwsError> {
    if configuration.len() > 2 {
        return Err(client_exception("computeResources.ec2Configuration can have at most two entries."));
    }
    configuration.iter().try_for_each(|entry| {
        let Ec2Configuration { image_type, image_id_override, batch_image_status: _, image_kubernetes_version } = entry;
        let known = IMAGE_TYPES.contains(&image_type.as_str());
        refuse(&[
            (&format!("computeResources.ec2Configuration.imageType {image_type}"), !known),
            ("computeResources.ec2Configuration.imageIdOverride", image_id_override.is_some()),
            ("computeResources.ec2Configuration.imageKubernetesVersion", image_kubernetes_version.is_some()),
        ])
    })
}

fn check_fargate(resources: &ComputeResource) -> Result<(), AwsError> {
    if !filled(resources.security_group_ids.as_ref()) {
        return Err(client_exception("computeResources.securityGroupIds must be provided for Fargate."));
    }
    let foreign = [
        ("allocationStrategy", resources.allocation_strategy.is_some()),
        ("minvCpus", resources.minv_cpus.is_some()),
        ("desiredvCpus", resources.desiredv_cpus.is_some()),
        ("ec2Configuration", filled(resources.ec2_configuration.as_ref())),
        ("instanceTypes", filled(resources.instance_types.as_ref())),
        ("ec2KeyPair", resources.ec2_key_pair.is_some()),
        ("instanceRole", resources.instance_role.is_some()),
        ("tags", resources.tags.as_ref().is_some_and(|tags| !tags.is_empty())),
        ("placementGroup", resources.placement_group.is_some()),
        ("bidPercentage", resources.bid_percentage.is_some()),
        ("spotIamFleetRole", resources.spot_iam_fleet_role.is_some()),
    ];
    match foreign.iter().find(|(_, present)| *present) {
        Some((name, _)) => {
            Err(client_exception(format!("computeResources.{name} is not applicable to Fargate compute environments.")))
        }
        None => Ok(()),
    }
}

fn check_instances(resources: &ComputeResource) -> Result<(), AwsError> {
    let most = resources.maxv_cpus;
    let least = resources.minv_cpus.unwrap_or(0);
    if !(0..=most).contains(&least) {
        return Err(client_exception("computeResources.minvCpus must be between 0 and maxvCpus."));
    }
    if resources.desiredv_cpus.is_some_and(|desired| !(least..=most).contains(&desired)) {
        return Err(client_exception("computeResources.desiredvCpus must be between minvCpus and maxvCpus."));
    }
    let required = [
        ("instanceTypes", filled(resources.instance_types.as_ref())),
        ("instanceRole", resources.instance_role.is_some()),
    ];
    if let Some((name, _)) = required.iter().find(|(_, present)| !present) {
        return Err(client_exception(format!("computeResources.{name} must be provided for EC2 and SPOT.")));
    }
    let spot = if resources.r#type == CRType::Spot { Spot::Yes } else { Spot::No };
    Catalog::get()
        .fleet_types(resources.instance_types.as_deref().unwrap_or_default(), spot)
        .map_err(|unknown| client_exception(format!("computeResources.instanceTypes: {unknown}.")))?;
    check_purchase(resources)
}

/// Checks the allocation strategy, and what belongs to Spot.
fn check_purchase(resources: &ComputeResource) -> Result<(), AwsError> {
    use CRAllocationStrategy::{
        BestFit, BestFitProgressive, BestFitProgressiveOrdered, SpotCapacityOptimized,
        SpotCapacityOptimizedPrioritized, SpotPriceCapacityOptimized,
    };
    let strategy = resources.allocation_strategy.unwrap_or(BestFit);
    let spot = resources.r#type == CRType::Spot;
    match strategy {
        SpotCapacityOptimized | SpotPriceCapacityOptimized if !spot => {
            return Err(client_exception(format!("allocationStrategy {strategy} is only available for SPOT.")));
        }
        // They follow the order of a list; here the price decides.
        BestFitProgressiveOrdered | SpotCapacityOptimizedPrioritized => {
            return refuse(&[(&format!("allocationStrategy {strategy}"), true)]);
        }
        BestFit | BestFitProgressive | SpotCapacityOptimized | SpotPriceCapacityOptimized => {}
    }
    if !spot && resources.bid_percentage.is_some() {
        return Err(client_exception(
            "computeResources.bidPercentage is only applicable to SPOT compute environments.",
        ));
    }
    // Spot prices here never change: one that is at most the list price is always bid.
    if resources.bid_percentage.is_some_and(|percent| !(1..=100).contains(&percent)) {
        return Err(client_exception("computeResources.bidPercentage must be between 1 and 100."));
    }
    if spot && strategy == BestFit && resources.spot_iam_fleet_role.is_none() {
        return Err(client_exception(
            "computeResources.spotIamFleetRole must be provided for SPOT with the allocation strategy BEST_FIT.",
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resources(kind: CRType) -> ComputeResource {
        let text = |text: &str| Some(vec![text.to_owned()]);
        completed(ComputeResource {
            r#type: kind,
            maxv_cpus: 16,
            subnets: text("subnet-1"),
            instance_types: text("optimal"),
            instance_role: Some("ecsInstanceRole".to_owned()),
            spot_iam_fleet_role: (kind == CRType::Spot).then(|| "role".to_owned()),
            ..ComputeResource::default()
        })
    }

    fn images(types: &[&str]) -> Vec<Ec2Configuration> {
        let image = |name: &&str| Ec2Configuration { image_type: (*name).to_owned(), ..Ec2Configuration::default() };
        types.iter().map(image).collect()
    }

    #[test]
    fn members_go_together_as_in_the_reference() {
        type Change = fn(&mut ComputeResource);
        let cases: [(CRType, Change, &str); 20] = [
            (CRType::Ec2, |_| {}, ""),
            (CRType::Spot, |_| {}, ""),
            (CRType::Ec2, |r| r.instance_types = Some(vec!["c5.large".into(), "m5".into()]), ""),
            (
                CRType::Ec2,
                |r| r.instance_types = Some(vec!["x9.huge".into()]),
                "computeResources.instanceTypes: x9.huge is not",
            ),
            (CRType::Ec2, |r| r.instance_types = None, "computeResources.instanceTypes must be provided"),
            (CRType::Ec2, |r| r.instance_role = None, "computeResources.instanceRole must be provided"),
            (CRType::Ec2, |r| r.minv_cpus = Some(17), "computeResources.minvCpus must be between"),
            (CRType::Ec2, |r| r.desiredv_cpus = Some(17), "computeResources.desiredvCpus must be between"),
            (CRType::Ec2, |r| r.maxv_cpus = 0, "computeResources.maxvCpus must be at least 1."),
            (
                CRType::Ec2,
                |r| r.allocation_strategy = Some(CRAllocationStrategy::SpotCapacityOptimized),
                "allocationStrategy SPOT_CAPACITY_OPTIMIZED is only available for SPOT.",
            ),
            (CRType::Ec2, |r| r.bid_percentage = Some(50), "computeResources.bidPercentage is only"),
            (CRType::Spot, |r| r.bid_percentage = Some(101), "computeResources.bidPercentage must be"),
            (CRType::Spot, |r| r.spot_iam_fleet_role = None, "computeResources.spotIamFleetRole must be provided"),
            (CRType::Ec2, |r| r.image_id = Some("ami-1".into()), "computeResources.imageId is not available"),
            (CRType::Ec2, |r| r.ec2_configuration = Some(images(&["ECS_AL2", "ECS_AL2023"])), ""),
            (
                CRType::Ec2,
                |r| r.ec2_configuration = Some(images(&["ECS_AL2023_NVIDIA"])),
                "computeResources.ec2Configuration.imageType ECS_AL2023_NVIDIA is not available",
            ),
            (
                CRType::Ec2,
                |r| r.ec2_configuration = Some(images(&["ECS_AL2"; 3])),
                "computeResources.ec2Configuration can have at most two",
            ),
            (
                CRType::Ec2,
                |r| {
                    let image_id_override = Some("ami-1".to_owned());
                    let image_type = "ECS_AL2".to_owned();
                    let image = Ec2Configuration { image_type, image_id_override, ..Ec2Configuration::default() };
                    r.ec2_configuration = Some(vec![image]);
                },
                "computeResources.ec2Configuration.imageIdOverride is not available",
            ),
            (CRType::Ec2, |r| r.ec2_configuration = Some(Vec::new()), ""),
            (CRType::Spot, |r| r.ec2_configuration = Some(images(&["ECS_AL2023"])), ""),
        ];
        for (kind, change, expected) in cases {
            let mut resources = resources(kind);
            change(&mut resources);
            let message = check(&resources).err().map(|error| error.message).unwrap_or_default();
            assert!(
                message.starts_with(expected) && message.is_empty() == expected.is_empty(),
                "{expected}: {message}"
            );
        }
    }
}
