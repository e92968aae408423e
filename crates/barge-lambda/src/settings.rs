//! What a client sets for a function: defaults, limits, and the refusal, by name, of everything Barge does not honour.

use crate::function::host_architecture;
use crate::layers::LayerRef;
use crate::logging::Format;
use crate::runtimes::Family;
use crate::vpc::Place;
use barge_core::{Arn, AwsError};
use barge_wire::lambda::{
    Architecture, CreateFunctionRequest, DeadLetterConfig, Environment, EphemeralStorage, FileSystemConfig,
    LoggingConfig, PackageType, Runtime, SnapStart, SnapStartApplyOn, TracingConfig, TracingMode,
    UpdateFunctionConfigurationRequest, error,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Names that Lambda sets itself (Lambda Developer Guide, "Working with Lambda environment variables", reserved
/// environment variables).
const RESERVED: [&str; 20] = [
    "_HANDLER",
    "_X_AMZN_TRACE_ID",
    "AWS_DEFAULT_REGION",
    "AWS_REGION",
    "AWS_EXECUTION_ENV",
    "AWS_LAMBDA_FUNCTION_NAME",
    "AWS_LAMBDA_FUNCTION_MEMORY_SIZE",
    "AWS_LAMBDA_FUNCTION_VERSION",
    "AWS_LAMBDA_INITIALIZATION_TYPE",
    "AWS_LAMBDA_LOG_FORMAT",
    "AWS_LAMBDA_LOG_GROUP_NAME",
    "AWS_LAMBDA_LOG_LEVEL",
    "AWS_LAMBDA_LOG_STREAM_NAME",
    "AWS_ACCESS_KEY",
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_LAMBDA_RUNTIME_API",
    "LAMBDA_TASK_ROOT",
    "LAMBDA_RUNTIME_DIR",
];

/// Bytes that names and values of environment variables may have together (Lambda Developer Guide, "Lambda quotas").
const ENVIRONMENT_BYTES: usize = 4096;

/// A function's settings.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Settings {
    pub runtime: Runtime,
    pub handler: String,
    pub role: Arn,
    pub description: String,
    pub timeout_seconds: u32,
    pub memory_mib: u32,
    pub environment: BTreeMap<String, String>,
    pub tmp_mib: u32,
    /// The log group, where it is not `/aws/lambda/NAME`.
    pub log_group: Option<String>,
    #[serde(default)]
    pub log_format: Format,
    /// What is laid under `/opt`, the lowest first.
    #[serde(default)]
    pub layers: Vec<LayerRef>,
    /// Where it is in a network, if it is.
    #[serde(default)]
    pub place: Option<Place>,
}

impl Settings {
    /// The settings that a new function asks for, with AWS's defaults for the rest; layers and place are looked up apart.
    pub(crate) fn create(request: &CreateFunctionRequest) -> Result<Self, AwsError> {
        refuse(&[
            ("PackageType Image", request.package_type == Some(PackageType::Image)),
            ("ImageConfig", request.image_config.is_some()),
            ("PublishTo", request.publish_to.is_some()),
            ("DeadLetterConfig", has_dead_letters(request.dead_letter_config.as_ref())),
            ("KMSKeyArn", is_set(request.kms_key_arn.as_ref())),
            ("TracingConfig mode Active", is_traced(request.tracing_config.as_ref())),
            ("FileSystemConfigs", has_any::<FileSystemConfig>(request.file_system_configs.as_ref())),
            ("CodeSigningConfigArn", is_set(request.code_signing_config_arn.as_ref())),
            ("SnapStart", has_snap_start(request.snap_start.as_ref())),
            ("TenancyConfig", request.tenancy_config.is_some()),
            ("CapacityProviderConfig", request.capacity_provider_config.is_some()),
            ("DurableConfig", request.durable_config.is_some()),
            ("RuntimeConfig", request.runtime_config.is_some()),
            ("AcceleratorConfig", request.accelerator_config.is_some()),
        ])?;
        check_architectures(request.architectures.as_deref())?;
        let (Some(runtime), Some(handler)) = (request.runtime, request.handler.clone()) else {
            return Err(error::invalid_parameter_value_exception(
                "Runtime and Handler are mandatory parameters for functions created with deployment packages.",
            ));
        };
        Ok(Self {
            runtime: supported(runtime)?,
            handler,
            role: role(&request.role)?,
            description: request.description.clone().unwrap_or_default(),
            timeout_seconds: timeout(request.timeout.unwrap_or(3))?,
            memory_mib: memory(request.memory_size.unwrap_or(128))?,
            environment: environment(request.environment.as_ref())?,
            tmp_mib: tmp(request.ephemeral_storage.as_ref())?.unwrap_or(512),
            log_group: log_group(request.logging_config.as_ref()),
            log_format: request.logging_config.as_ref().map_or(Ok(Format::Text), Format::of)?,
            layers: Vec::new(),
            place: None,
        })
    }

    /// These settings with the members that `request` gives changed.
    pub(crate) fn updated(&self, request: &UpdateFunctionConfigurationRequest) -> Result<Self, AwsError> {
        refuse(&[
            ("ImageConfig", request.image_config.is_some()),
            ("DeadLetterConfig", has_dead_letters(request.dead_letter_config.as_ref())),
            ("KMSKeyArn", is_set(request.kms_key_arn.as_ref())),
            ("TracingConfig mode Active", is_traced(request.tracing_config.as_ref())),
            ("FileSystemConfigs", has_any::<FileSystemConfig>(request.file_system_configs.as_ref())),
            ("SnapStart", has_snap_start(request.snap_start.as_ref())),
            ("CapacityProviderConfig", request.capacity_provider_config.is_some()),
            ("DurableConfig", request.durable_config.is_some()),
            ("RuntimeConfig", request.runtime_config.is_some()),
            ("AcceleratorConfig", request.accelerator_config.is_some()),
        ])?;
        let old = self.clone();
        Ok(Self {
            runtime: request.runtime.map_or(Ok(old.runtime), supported)?,
            handler: request.handler.clone().unwrap_or(old.handler),
            role: request.role.as_deref().map_or(Ok(old.role), role)?,
            description: request.description.clone().unwrap_or(old.description),
            timeout_seconds: request.timeout.map_or(Ok(old.timeout_seconds), timeout)?,
            memory_mib: request.memory_size.map_or(Ok(old.memory_mib), memory)?,
            environment: match &request.environment {
                Some(given) => environment(Some(given))?,
                None => old.environment,
            },
            tmp_mib: tmp(request.ephemeral_storage.as_ref())?.unwrap_or(old.tmp_mib),
            log_group: match &request.logging_config {
                Some(given) => log_group(Some(given)),
                None => old.log_group,
            },
            log_format: request.logging_config.as_ref().map_or(Ok(old.log_format), Format::of)?,
            layers: old.layers,
            place: old.place,
        })
    }

    /// How the function's code is run.
    pub(crate) fn family(&self) -> Family {
        // A stored runtime was supported when it was stored.
        Family::of(self.runtime).unwrap_or(Family::Provided)
    }

    /// The name of the log group of the function called `name`.
    pub(crate) fn log_group(&self, name: &str) -> String {
        self.log_group.clone().unwrap_or_else(|| format!("/aws/lambda/{name}"))
    }
}

fn refuse(members: &[(&str, bool)]) -> Result<(), AwsError> {
    match members.iter().find(|(_, given)| *given) {
        Some((member, _)) => {
            Err(error::invalid_parameter_value_exception(format!("{member} is not supported by Barge.")))
        }
        None => Ok(()),
    }
}

/// Refuses architectures other than this machine's.
pub(crate) fn check_architectures(wanted: Option<&[Architecture]>) -> Result<(), AwsError> {
    let host = host_architecture();
    match wanted.unwrap_or_default().iter().find(|wanted| Some(**wanted) != host) {
        Some(other) => Err(error::invalid_parameter_value_exception(format!(
            "Architecture {} is not supported on this machine, which is {}.",
            other.as_str(),
            std::env::consts::ARCH
        ))),
        None => Ok(()),
    }
}

fn supported(runtime: Runtime) -> Result<Runtime, AwsError> {
    match Family::of(runtime) {
        Some(_) => Ok(runtime),
        None => Err(error::invalid_parameter_value_exception(format!(
            "The runtime parameter of {} is not supported by Barge. Use provided.al2023, provided.al2, python3.9 or \
             later, or nodejs18.x or later.",
            runtime.as_str()
        ))),
    }
}

fn role(arn: &str) -> Result<Arn, AwsError> {
    let malformed = |_| AwsError::validation(format!("Value '{arn}' at 'role' is not the ARN of a role"));
    arn.parse().map_err(malformed)
}

/// Checks a limit that Lambda's quotas set below the API model's.
fn limited(member: &str, value: i64, most: u32) -> Result<u32, AwsError> {
    u32::try_from(value).ok().filter(|value| *value <= most).ok_or_else(|| {
        AwsError::validation(format!(
            "1 validation error detected: Value '{value}' at '{member}' failed to satisfy constraint: Member must \
             have value less than or equal to {most}"
        ))
    })
}

fn timeout(seconds: i64) -> Result<u32, AwsError> {
    limited("timeout", seconds, 900)
}

fn memory(mib: i64) -> Result<u32, AwsError> {
    limited("memorySize", mib, 10_240)
}

fn tmp(storage: Option<&EphemeralStorage>) -> Result<Option<u32>, AwsError> {
    storage.map(|storage| limited("ephemeralStorage.size", storage.size, 10_240)).transpose()
}

fn environment(environment: Option<&Environment>) -> Result<BTreeMap<String, String>, AwsError> {
    let variables = environment.and_then(|e| e.variables.clone()).unwrap_or_default();
    let reserved: Vec<&str> = variables.keys().map(String::as_str).filter(|name| RESERVED.contains(name)).collect();
    if !reserved.is_empty() {
        return Err(error::invalid_parameter_value_exception(format!(
            "Lambda was unable to configure your environment variables because the environment variables you have \
             provided contains reserved keys that are currently not supported for modification. Reserved keys used in \
             this request: {}",
            reserved.join(", ")
        )));
    }
    if let Some((name, _)) = variables.iter().find(|(_, value)| value.contains('\0')) {
        return Err(error::invalid_parameter_value_exception(format!(
            "The value of the environment variable {name} contains a NUL character."
        )));
    }
    let bytes: usize = variables.iter().map(|(name, value)| name.len() + value.len()).sum();
    if bytes > ENVIRONMENT_BYTES {
        return Err(error::invalid_parameter_value_exception(
            "Lambda was unable to configure your environment variables because the environment variables you have \
             provided exceeded the 4KB limit.",
        ));
    }
    Ok(variables)
}

fn log_group(config: Option<&LoggingConfig>) -> Option<String> {
    config.and_then(|config| config.log_group.clone())
}

fn has_dead_letters(config: Option<&DeadLetterConfig>) -> bool {
    config.is_some_and(|config| is_set(config.target_arn.as_ref()))
}

fn is_traced(config: Option<&TracingConfig>) -> bool {
    config.is_some_and(|config| config.mode == Some(TracingMode::Active))
}

fn has_snap_start(config: Option<&SnapStart>) -> bool {
    config.is_some_and(|config| config.apply_on == Some(SnapStartApplyOn::PublishedVersions))
}

fn is_set(text: Option<&String>) -> bool {
    text.is_some_and(|text| !text.is_empty())
}

fn has_any<T>(list: Option<&Vec<T>>) -> bool {
    list.is_some_and(|list| !list.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request() -> CreateFunctionRequest {
        CreateFunctionRequest {
            function_name: "f".to_owned(),
            role: "arn:aws:iam::000000000000:role/r".to_owned(),
            runtime: Some(Runtime::Python312),
            handler: Some("index.handler".to_owned()),
            ..CreateFunctionRequest::default()
        }
    }

    fn variables(pairs: &[(&str, &str)]) -> Environment {
        let variables = pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Environment { variables: Some(variables) }
    }

    #[test]
    fn what_is_not_said_has_awss_default() {
        let settings = Settings::create(&request()).unwrap();
        assert_eq!((settings.timeout_seconds, settings.memory_mib, settings.tmp_mib), (3, 128, 512));
        assert_eq!(settings.log_group("f"), "/aws/lambda/f");
    }

    #[test]
    fn what_is_not_honoured_is_refused_by_name() {
        let traced = Some(TracingConfig { mode: Some(TracingMode::Active) });
        for (request, word) in [
            (CreateFunctionRequest { tracing_config: traced, ..request() }, "TracingConfig"),
            (CreateFunctionRequest { package_type: Some(PackageType::Image), ..request() }, "Image"),
            (CreateFunctionRequest { runtime: Some(Runtime::Java21), ..request() }, "java21"),
            (CreateFunctionRequest { runtime: None, ..request() }, "Runtime and Handler"),
            (CreateFunctionRequest { timeout: Some(901), ..request() }, "timeout"),
            (CreateFunctionRequest { memory_size: Some(20_000), ..request() }, "memorySize"),
            (CreateFunctionRequest { environment: Some(variables(&[("AWS_REGION", "x")])), ..request() }, "AWS_REGION"),
            (CreateFunctionRequest { environment: Some(variables(&[("A", &"x".repeat(4096))])), ..request() }, "4KB"),
        ] {
            let error = Settings::create(&request).unwrap_err();
            assert!(error.message.contains(word), "{word}: {error}");
        }
    }

    #[test]
    fn empty_structures_ask_for_nothing() {
        let request = CreateFunctionRequest {
            dead_letter_config: Some(DeadLetterConfig::default()),
            layers: Some(Vec::new()),
            publish: Some(false),
            ..request()
        };
        assert!(Settings::create(&request).is_ok());
    }

    #[test]
    fn an_update_keeps_what_it_does_not_name() {
        let old = Settings::create(&CreateFunctionRequest { environment: Some(variables(&[("A", "1")])), ..request() });
        let old = old.unwrap();
        let request = UpdateFunctionConfigurationRequest { timeout: Some(9), ..Default::default() };
        assert_eq!(old.updated(&request).unwrap(), Settings { timeout_seconds: 9, ..old.clone() });
        let request = UpdateFunctionConfigurationRequest { environment: Some(variables(&[])), ..Default::default() };
        assert!(old.updated(&request).unwrap().environment.is_empty());
    }
}
