//! What a job definition may say of its container: everything is honoured or refused by name.

use super::requirements::Asked;
use super::{filled, refuse};
use crate::core::Platform;
use barge_core::{Arn, AwsError, Region};
use barge_wire::batch::error::client_exception;
use barge_wire::batch::{
    ContainerProperties, FargatePlatformConfiguration, KeyValuePair, LinuxParameters, LogConfiguration, LogDriver,
    RuntimePlatform,
};

/// Checks a definition's container.
pub(super) fn check(properties: &ContainerProperties, platform: Platform) -> Result<(), AwsError> {
    // Every member by name, so that one that AWS adds is not overlooked.
    let ContainerProperties {
        image,
        // Sizes are `asked`'s.
        vcpus: _,
        memory: _,
        resource_requirements: _,
        command: _,
        job_role_arn,
        execution_role_arn,
        volumes,
        environment,
        mount_points,
        readonly_root_filesystem: _,
        privileged,
        ulimits,
        user: _,
        instance_type,
        linux_parameters,
        log_configuration,
        secrets,
        // Containers share the machine's network: they reach what it reaches, whichever value is given.
        network_configuration: _,
        fargate_platform_configuration,
        enable_execute_command,
        ephemeral_storage,
        runtime_platform,
        repository_credentials,
    } = properties;
    refuse(&[
        ("containerProperties.volumes", filled(volumes.as_ref())),
        ("containerProperties.mountPoints", filled(mount_points.as_ref())),
        ("containerProperties.privileged", *privileged == Some(true)),
        ("containerProperties.ulimits", filled(ulimits.as_ref())),
        ("containerProperties.instanceType", instance_type.is_some()),
        ("containerProperties.secrets", filled(secrets.as_ref())),
        ("containerProperties.enableExecuteCommand", *enable_execute_command == Some(true)),
        ("containerProperties.ephemeralStorage", ephemeral_storage.is_some()),
        ("containerProperties.repositoryCredentials", repository_credentials.is_some()),
    ])?;
    check_image(image.as_deref())?;
    check_role("jobRoleArn", job_role_arn.as_deref())?;
    check_role("executionRoleArn", execution_role_arn.as_deref())?;
    if platform == Platform::Fargate && execution_role_arn.is_none() {
        return Err(client_exception("executionRoleArn is required for jobs that run on Fargate resources."));
    }
    check_environment(environment.as_ref())?;
    linux_parameters.as_ref().map_or(Ok(()), check_linux)?;
    log_configuration.as_ref().map_or(Ok(()), check_logs)?;
    fargate_platform_configuration.as_ref().map_or(Ok(()), |given| check_platform_version(given, platform))?;
    runtime_platform.as_ref().map_or(Ok(()), check_runtime_platform)?;
    asked(properties).check(platform)
}

/// What a definition's container asks for.
pub(super) fn asked(properties: &ContainerProperties) -> Asked<'_> {
    Asked {
        requirements: properties.resource_requirements.as_ref(),
        vcpus: properties.vcpus,
        memory: properties.memory,
    }
}

fn check_image(image: Option<&str>) -> Result<(), AwsError> {
    let image = image.unwrap_or_default();
    let legal = |b: u8| b.is_ascii_alphanumeric() || b"-_:./#@".contains(&b);
    if image.is_empty() {
        return Err(client_exception("Container image is not provided."));
    }
    if image.len() > 255 || !image.bytes().all(legal) {
        return Err(client_exception(format!("Container image {image:?} is not valid.")));
    }
    Ok(())
}

fn check_role(member: &str, arn: Option<&str>) -> Result<(), AwsError> {
    let Some(text) = arn else { return Ok(()) };
    let role = text.parse::<Arn>().ok().filter(|arn| arn.service == "iam" && arn.resource_name("role").is_some());
    role.map(drop).ok_or_else(|| client_exception(format!("{member} {text:?} is not the ARN of a role.")))
}

/// Checks environment variables, of a definition or an override.
pub(super) fn check_environment(environment: Option<&Vec<KeyValuePair>>) -> Result<(), AwsError> {
    for pair in environment.into_iter().flatten() {
        let name = pair.name.as_deref().unwrap_or_default();
        if name.is_empty() || name.contains('=') || name.contains('\0') {
            return Err(client_exception(format!("Environment variable name {name:?} is not valid.")));
        }
        if name.starts_with("AWS_BATCH") {
            return Err(client_exception(format!(
                "Environment variable {name} is not allowed: names that start with AWS_BATCH are reserved."
            )));
        }
        if pair.value.as_deref().is_some_and(|value| value.contains('\0')) {
            return Err(client_exception(format!("The value of environment variable {name} is not valid.")));
        }
    }
    Ok(())
}

fn check_linux(parameters: &LinuxParameters) -> Result<(), AwsError> {
    let LinuxParameters { devices, init_process_enabled, shared_memory_size, tmpfs, max_swap, swappiness } = parameters;
    refuse(&[
        ("containerProperties.linuxParameters.devices", filled(devices.as_ref())),
        ("containerProperties.linuxParameters.initProcessEnabled", *init_process_enabled == Some(true)),
        ("containerProperties.linuxParameters.sharedMemorySize", shared_memory_size.is_some()),
        ("containerProperties.linuxParameters.tmpfs", filled(tmpfs.as_ref())),
        ("containerProperties.linuxParameters.maxSwap", max_swap.is_some()),
        ("containerProperties.linuxParameters.swappiness", swappiness.is_some()),
    ])
}

fn check_logs(configuration: &LogConfiguration) -> Result<(), AwsError> {
    const HONOURED: [&str; 4] = ["awslogs-group", "awslogs-region", "awslogs-stream-prefix", "awslogs-create-group"];
    let LogConfiguration { log_driver, options, secret_options } = configuration;
    if *log_driver != LogDriver::Awslogs {
        return Err(client_exception(format!(
            "containerProperties.logConfiguration.logDriver {log_driver} is not available in Barge; use awslogs."
        )));
    }
    refuse(&[("containerProperties.logConfiguration.secretOptions", filled(secret_options.as_ref()))])?;
    let options = options.iter().flatten();
    for (name, value) in options {
        if !HONOURED.contains(&name.as_str()) {
            return refuse(&[(&format!("containerProperties.logConfiguration.options.{name}"), true)]);
        }
        if name == "awslogs-region" && Region::new(value).is_none() {
            return Err(client_exception(format!("awslogs-region {value:?} is not a region.")));
        }
    }
    Ok(())
}

fn check_platform_version(given: &FargatePlatformConfiguration, platform: Platform) -> Result<(), AwsError> {
    let FargatePlatformConfiguration { platform_version } = given;
    let version = platform_version.as_deref().unwrap_or("LATEST");
    if platform == Platform::Ec2 {
        return Err(client_exception(
            "fargatePlatformConfiguration is not supported for jobs that run on EC2 resources.",
        ));
    }
    if !["LATEST", "1.4.0"].contains(&version) {
        return Err(client_exception(format!("Fargate platform version {version:?} is not available in Barge.")));
    }
    Ok(())
}

fn check_runtime_platform(platform: &RuntimePlatform) -> Result<(), AwsError> {
    let RuntimePlatform { operating_system_family, cpu_architecture } = platform;
    let here = if cfg!(target_arch = "aarch64") { "ARM64" } else { "X86_64" };
    let family = operating_system_family.as_deref().unwrap_or("LINUX");
    let architecture = cpu_architecture.as_deref().unwrap_or(here);
    if family != "LINUX" || architecture != here {
        return Err(client_exception(format!(
            "runtimePlatform {family} {architecture} is not available: this Barge runs on LINUX {here}."
        )));
    }
    Ok(())
}
