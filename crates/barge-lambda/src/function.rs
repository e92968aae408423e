//! A function as it is stored, and as its API shows it.

use crate::destinations::Destinations;
use crate::layers::LayerRef;
use crate::names::{FunctionKey, Qualifier};
use crate::policy::Statement;
use crate::settings::Settings;
use crate::vpc::Place;
use barge_core::Timestamp;
use barge_wire::lambda::{
    Architecture, EnvironmentResponse, EphemeralStorage, FunctionConfiguration, LastUpdateStatus, Layer, PackageType,
    SnapStartApplyOn, SnapStartOptimizationStatus, SnapStartResponse, State, TracingConfigResponse, TracingMode,
    UpdateRuntimeOn,
};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;

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
    /// Its published versions, in the order of their numbers.
    #[serde(default)]
    pub published: Vec<Published>,
    /// The last version's number; numbers are never given twice.
    #[serde(default)]
    pub last_version: u64,
    /// Its aliases by name.
    #[serde(default)]
    pub aliases: BTreeMap<String, Alias>,
    /// What becomes of its events, by qualifier.
    #[serde(default)]
    pub event_configs: BTreeMap<String, EventConfig>,
    /// When its runtime is updated, by version, where that was said.
    #[serde(default)]
    pub runtime_updates: BTreeMap<String, UpdateRuntimeOn>,
}

/// A version of a function: its code and settings as they were.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Published {
    pub number: u64,
    pub settings: Settings,
    pub code: CodeRef,
    pub policy: Vec<Statement>,
    pub last_modified: Timestamp,
    pub revision: String,
    pub deployment: String,
    /// The function's deployment that it is a copy of.
    pub source: String,
    /// The template's creation that published it, if one did.
    pub creation_token: Option<String>,
}

/// A name for a version.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Alias {
    /// A number, or `$LATEST`.
    pub version: String,
    pub description: String,
    /// Shares of other versions, from 0 to 1.
    pub weights: BTreeMap<String, f64>,
    pub policy: Vec<Statement>,
    pub revision: String,
    /// The template's creation that made it, if one did.
    pub creation_token: Option<String>,
}

/// What becomes of events that the function does not take at once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct EventConfig {
    /// Tries after the first.
    pub retries: Option<u32>,
    /// How old an event may get.
    pub max_age_seconds: Option<u32>,
    #[serde(default)]
    pub destinations: Destinations,
    pub last_modified: Timestamp,
}

/// The architecture that functions run on, where Lambda has a name for it.
pub(crate) fn host_architecture() -> Option<Architecture> {
    match std::env::consts::ARCH {
        "x86_64" => Some(Architecture::X8664),
        "aarch64" => Some(Architecture::Arm64),
        _ => None,
    }
}

impl Alias {
    /// The version that gets an event; `chance` is from 0 to 1.
    pub(crate) fn choose(&self, chance: f64) -> &str {
        let mut rest = chance;
        for (version, weight) in &self.weights {
            rest -= weight;
            if rest < 0.0 {
                return version;
            }
        }
        &self.version
    }
}

impl Function {
    /// Its published version `number`, as a function of its own.
    pub(crate) fn at(&self, number: u64) -> Option<Self> {
        let version = self.published.iter().find(|version| version.number == number)?.clone();
        Some(Self {
            key: self.key.at(number),
            settings: version.settings,
            code: version.code,
            tags: self.tags.clone(),
            policy: version.policy,
            reserved_concurrency: self.reserved_concurrency,
            last_modified: version.last_modified,
            revision: version.revision,
            deployment: version.deployment,
            creation_token: version.creation_token,
            published: Vec::new(),
            last_version: number,
            aliases: BTreeMap::new(),
            event_configs: BTreeMap::new(),
            runtime_updates: BTreeMap::new(),
        })
    }

    /// What `qualifier` stands for; `chance`, from 0 to 1, chooses among an alias' versions.
    pub(crate) fn pointed(self: &Arc<Self>, qualifier: &Qualifier, chance: f64) -> Option<Arc<Self>> {
        match qualifier {
            Qualifier::Plain | Qualifier::Latest => Some(Arc::clone(self)),
            Qualifier::Version(number) => self.at(*number).map(Arc::new),
            Qualifier::Alias(name) => match Qualifier::parse(self.aliases.get(name)?.choose(chance)) {
                Qualifier::Version(number) => self.at(number).map(Arc::new),
                _ => Some(Arc::clone(self)),
            },
        }
    }

    /// The statements of what `qualifier` stands for.
    pub(crate) fn policy_of(&mut self, qualifier: &Qualifier) -> Option<&mut Vec<Statement>> {
        match qualifier {
            Qualifier::Plain | Qualifier::Latest => Some(&mut self.policy),
            Qualifier::Version(number) => {
                self.published.iter_mut().find(|version| version.number == *number).map(|version| &mut version.policy)
            }
            Qualifier::Alias(name) => self.aliases.get_mut(name).map(|alias| &mut alias.policy),
        }
    }

    /// Whether it or a version of it needs the code `sha256`.
    pub(crate) fn uses_code(&self, sha256: &str) -> bool {
        let needs = |settings: &Settings, code: &CodeRef| {
            code.sha256 == sha256 || settings.layers.iter().any(|layer| layer.code.sha256 == sha256)
        };
        needs(&self.settings, &self.code)
            || self.published.iter().any(|version| needs(&version.settings, &version.code))
    }

    /// The function as GetFunctionConfiguration shows it where a request named it so.
    pub(crate) fn configuration(&self, qualifier: &Qualifier) -> FunctionConfiguration {
        let settings = &self.settings;
        let layers: Vec<Layer> = settings.layers.iter().map(LayerRef::shown).collect();
        FunctionConfiguration {
            function_name: Some(self.key.name.clone()),
            function_arn: Some(qualifier.arn(&self.key)),
            runtime: Some(settings.runtime),
            role: Some(settings.role.to_string()),
            handler: Some(settings.handler.clone()),
            code_size: i64::try_from(self.code.size).ok(),
            description: Some(settings.description.clone()),
            timeout: Some(settings.timeout_seconds.into()),
            memory_size: Some(settings.memory_mib.into()),
            last_modified: Some(self.last_modified.iso8601().replace('Z', "+0000")),
            code_sha256: Some(self.code.base64()),
            version: Some(self.key.version_name()),
            layers: (!layers.is_empty()).then_some(layers),
            vpc_config: settings.place.as_ref().map(Place::shown),
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
            logging_config: Some(settings.log_format.shown(settings.log_group(&self.key.name))),
            ..FunctionConfiguration::default()
        }
    }
}
