//! What is checked of every container, whether it is a job's only one, a node's, or one of a task's several: everything is
//! honoured or refused by name.

use super::{linux, logs, storage};
use crate::api::{absent, foreign, refuse};
use crate::core::Platform;
use barge_core::{Arn, AwsError};
use barge_wire::batch::error::client_exception;
use barge_wire::batch::{
    ContainerProperties, KeyValuePair, LinuxParameters, LogConfiguration, MountPoint, Secret, TaskContainerProperties,
    Ulimit, Volume,
};

/// Which of AWS's shapes a container comes in: Fargate's rules differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// `containerProperties`.
    Single,
    /// One of `ecsProperties`.
    Task,
}

/// What both shapes have in common.
pub(super) struct Container<'a> {
    pub(super) form: Form,
    /// Where it is in the request, for messages.
    pub(super) at: &'a str,
    image: Option<&'a str>,
    environment: Option<&'a Vec<KeyValuePair>>,
    mount_points: Option<&'a Vec<MountPoint>>,
    privileged: bool,
    ulimits: Option<&'a Vec<Ulimit>>,
    linux: Option<&'a LinuxParameters>,
    logs: Option<&'a LogConfiguration>,
    secrets: Option<&'a Vec<Secret>>,
    private_registry: bool,
}

impl<'a> Container<'a> {
    pub(super) fn single(at: &'a str, properties: &'a ContainerProperties) -> Self {
        Self {
            form: Form::Single,
            at,
            image: properties.image.as_deref(),
            environment: properties.environment.as_ref(),
            mount_points: properties.mount_points.as_ref(),
            privileged: properties.privileged == Some(true),
            ulimits: properties.ulimits.as_ref(),
            linux: properties.linux_parameters.as_ref(),
            logs: properties.log_configuration.as_ref(),
            secrets: properties.secrets.as_ref(),
            private_registry: properties.repository_credentials.is_some(),
        }
    }

    pub(super) fn of_task(at: &'a str, properties: &'a TaskContainerProperties) -> Self {
        Self {
            form: Form::Task,
            at,
            image: Some(&properties.image),
            environment: properties.environment.as_ref(),
            mount_points: properties.mount_points.as_ref(),
            privileged: properties.privileged == Some(true),
            ulimits: properties.ulimits.as_ref(),
            linux: properties.linux_parameters.as_ref(),
            logs: properties.log_configuration.as_ref(),
            secrets: properties.secrets.as_ref(),
            private_registry: properties.repository_credentials.is_some(),
        }
    }

    /// Checks the container; `volumes` are those that it can mount, `role` says whether it has an execution role.
    pub(super) fn check(
        &self,
        platform: Platform,
        volumes: Option<&Vec<Volume>>,
        execution_role: Option<&str>,
    ) -> Result<(), AwsError> {
        let at = self.at;
        if platform == Platform::Fargate && self.privileged {
            return Err(foreign(&format!("{at}.privileged"), platform));
        }
        refuse(&[
            (&format!("{at}.privileged"), self.privileged),
            (&format!("{at}.repositoryCredentials"), self.private_registry),
        ])?;
        check_image(self.image)?;
        check_environment(self.environment)?;
        check_secrets(self.secrets, execution_role)?;
        storage::check_mounts(at, self.mount_points, volumes)?;
        linux::check_ulimits(at, self.ulimits, platform, self.form)?;
        if let Some(parameters) = self.linux {
            linux::check(at, parameters, platform)?;
        }
        self.logs.map_or(Ok(()), |logs| logs::check(at, logs))
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

/// Checks the ARN of a role.
pub(super) fn check_role(member: &str, arn: Option<&str>) -> Result<(), AwsError> {
    let Some(text) = arn else { return Ok(()) };
    let role = text.parse::<Arn>().ok().filter(|arn| arn.service == "iam" && arn.resource_name("role").is_some());
    role.map(drop).ok_or_else(|| client_exception(format!("{member} {text:?} is not the ARN of a role.")))
}

/// Refuses a definition for Fargate without an execution role (API Reference, "ContainerProperties", `executionRoleArn`).
pub(super) fn check_execution_role(arn: Option<&str>, platform: Platform) -> Result<(), AwsError> {
    check_role("executionRoleArn", arn)?;
    if platform == Platform::Fargate && arn.is_none() {
        return Err(client_exception("executionRoleArn is required for jobs that run on Fargate resources."));
    }
    Ok(())
}

/// Checks environment variables, of a definition or an override.
pub(in crate::api) fn check_environment(environment: Option<&Vec<KeyValuePair>>) -> Result<(), AwsError> {
    for pair in environment.into_iter().flatten() {
        let name = pair.name.as_deref().unwrap_or_default();
        check_variable(name)?;
        if pair.value.as_deref().is_some_and(|value| value.contains('\0')) {
            return Err(client_exception(format!("The value of environment variable {name} is not valid.")));
        }
    }
    Ok(())
}

fn check_variable(name: &str) -> Result<(), AwsError> {
    if name.is_empty() || name.contains('=') || name.contains('\0') {
        return Err(client_exception(format!("Environment variable name {name:?} is not valid.")));
    }
    if name.starts_with("AWS_BATCH") {
        return Err(client_exception(format!(
            "Environment variable {name} is not allowed: names that start with AWS_BATCH are reserved."
        )));
    }
    Ok(())
}

fn check_secrets(secrets: Option<&Vec<Secret>>, execution_role: Option<&str>) -> Result<(), AwsError> {
    let secrets = secrets.map(Vec::as_slice).unwrap_or_default();
    if !secrets.is_empty() && execution_role.is_none() {
        return Err(client_exception(
            "When you are specifying container secrets, you must also specify a value for 'executionRoleArn'.",
        ));
    }
    for Secret { name, value_from } in secrets {
        check_variable(name)?;
        absent("secrets.valueFrom", value_from.is_empty())?;
    }
    Ok(())
}
