//! A function as it is stored, and as its API shows it.

use crate::names::{FunctionKey, LATEST, Naming};
use crate::policy::Statement;
use crate::settings::Settings;
use barge_core::Timestamp;
use barge_wire::lambda::{
    Architecture, EnvironmentResponse, EphemeralStorage, FunctionConfiguration, LastUpdateStatus, LogFormat,
    LoggingConfig, PackageType, SnapStartApplyOn, SnapStartOptimizationStatus, SnapStartResponse, State,
    TracingConfigResponse, TracingMode,
};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Which code a function runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct CodeRef {
    /// SHA-256 of the zip file, in hexadecimal: the code's name on disk.
    pub sha256: String,
    /// Bytes of the zip file.
    pub size: u64,
}

impl CodeRef {
    /// The digest as the API shows it.
    pub(crate) fn base64(&self) -> String {
        STANDARD.encode(hex::decode(&self.sha256).unwrap_or_default())
    }
}

/// A function.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Function {
    pub key: FunctionKey,
    pub settings: Settings,
    pub code: CodeRef,
    pub tags: BTreeMap<String, String>,
    pub policy: Vec<Statement>,
    pub reserved_concurrency: Option<u32>,
    pub last_modified: Timestamp,
    /// Changes with whatever the API can change.
    pub revision: String,
    /// Changes with code and settings only: instances of another deployment must not get work.
    pub deployment: String,
    /// The template's creation that made it, if one did.
    pub creation_token: Option<String>,
}

/// The architecture that functions run on, where Lambda has a name for it.
pub(crate) fn host_architecture() -> Option<Architecture> {
    match std::env::consts::ARCH {
        "x86_64" => Some(Architecture::X8664),
        "aarch64" => Some(Architecture::Arm64),
        _ => None,
    }
}

impl Function {
    /// The function as GetFunctionConfiguration shows it.
    pub(crate) fn configuration(&self, naming: Naming) -> FunctionConfiguration {
        let settings = &self.settings;
        let arn = self.key.arn();
        FunctionConfiguration {
            function_name: Some(self.key.name.clone()),
            function_arn: Some(match naming {
                Naming::Plain => arn.to_string(),
                Naming::Latest => format!("{arn}:{LATEST}"),
            }),
            runtime: Some(settings.runtime),
            role: Some(settings.role.to_string()),
            handler: Some(settings.handler.clone()),
            code_size: i64::try_from(self.code.size).ok(),
            description: Some(settings.description.clone()),
            timeout: Some(settings.timeout_seconds.into()),
            memory_size: Some(settings.memory_mib.into()),
            last_modified: Some(self.last_modified.iso8601().replace('Z', "+0000")),
            code_sha256: Some(self.code.base64()),
            version: Some(LATEST.to_owned()),
            environment: (!settings.environment.is_empty())
                .then(|| EnvironmentResponse { variables: Some(settings.environment.clone()), error: None }),
            tracing_config: Some(TracingConfigResponse { mode: Some(TracingMode::PassThrough) }),
            revision_id: Some(self.revision.clone()),
            state: Some(State::Active),
            last_update_status: Some(LastUpdateStatus::Successful),
            package_type: Some(PackageType::Zip),
            architectures: host_architecture().map(|architecture| vec![architecture]),
            ephemeral_storage: Some(EphemeralStorage { size: settings.tmp_mib.into() }),
            snap_start: Some(SnapStartResponse {
                apply_on: Some(SnapStartApplyOn::None),
                optimization_status: Some(SnapStartOptimizationStatus::Off),
            }),
            logging_config: Some(LoggingConfig {
                log_format: Some(LogFormat::Text),
                log_group: Some(settings.log_group(&self.key.name)),
                ..LoggingConfig::default()
            }),
            ..FunctionConfiguration::default()
        }
    }
}
