//! Functions made, changed, shown and removed.

use super::{check_revision, versions};
use crate::LambdaService;
use crate::code::{Inline, Pin};
use crate::function::{CodeRef, Function};
use crate::names::{FunctionKey, Qualifier, Target, resolve};
use crate::registry::Change;
use crate::settings::{Settings, check_architectures};
use crate::vpc::Place;
use barge_core::{Arn, AwsError, Context, Scope};
use barge_wire::lambda::{
    Concurrency, CreateFunctionRequest, DeleteFunctionRequest, FunctionCodeLocation, FunctionConfiguration,
    GetFunctionRequest, GetFunctionResponse, ListFunctionsRequest, ListFunctionsResponse, UpdateFunctionCodeRequest,
    UpdateFunctionConfigurationRequest, VpcConfig, error,
};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// Bytes of a zip file that comes with the request (Lambda Developer Guide, "Lambda quotas").
const ZIPPED_LIMIT: usize = 52_428_800;
/// Bytes of all functions' zip files together in a region (same page).
pub(crate) const TOTAL_LIMIT: u64 = 80_530_636_800;
/// Functions on a page of ListFunctions (Lambda API reference, ListFunctions).
const PAGE: i64 = 50;
/// Characters of a function's name (Lambda API reference, CreateFunction).
const LONGEST_NAME: usize = 64;
/// Long enough to see whether a role can be assumed.
const PROBE: Duration = Duration::from_mins(15);

/// Where code comes from.
#[derive(Debug)]
pub(crate) enum CodeSource {
    /// A zip file.
    Zip(Vec<u8>),
    /// Text in a template.
    Inline { inline: Inline, text: String },
    /// An object in S3.
    Object { bucket: String, key: String },
}

/// Whether an update brings other code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Code {
    /// It stays.
    Same,
    /// It is new.
    Changed,
}

/// A function to be made.
pub(crate) struct Plan {
    pub key: FunctionKey,
    pub settings: Settings,
    /// ARNs of layer versions.
    pub layers: Vec<String>,
    pub place: VpcConfig,
    pub tags: BTreeMap<String, String>,
    pub source: CodeSource,
    pub reserved_concurrency: Option<u32>,
    /// The template's creation, where it is one: the same one finds its function again.
    pub token: Option<String>,
}

impl CodeSource {
    pub(super) fn new(
        zip: Option<Vec<u8>>,
        bucket: Option<String>,
        key: Option<String>,
        refused: &[(&str, bool)],
    ) -> Result<Self, AwsError> {
        if let Some((member, _)) = refused.iter().find(|(_, given)| *given) {
            return Err(error::invalid_parameter_value_exception(format!("{member} is not supported by Barge.")));
        }
        match (zip, bucket, key) {
            (Some(zip), None, None) => Ok(Self::Zip(zip)),
            (None, Some(bucket), Some(key)) => Ok(Self::Object { bucket, key }),
            (Some(_), _, _) => Err(error::invalid_parameter_value_exception(
                "Please do not provide other FunctionCode parameters when providing a ZipFile.",
            )),
            _ => Err(error::invalid_parameter_value_exception("Please provide a source for function code.")),
        }
    }
}

impl LambdaService {
    /// The function that a request names without version or alias.
    pub(crate) fn whole(&self, cx: &Context, name: &str) -> Result<(Arc<Function>, Qualifier), AwsError> {
        let Target { key, qualifier } = resolve(&cx.scope, name, None)?;
        match qualifier {
            Qualifier::Plain | Qualifier::Latest => Ok((self.shared.registry.require(&key)?, qualifier)),
            Qualifier::Version(_) | Qualifier::Alias(_) => Err(error::invalid_parameter_value_exception(
                "This operation is permitted on Lambda functions only. Aliases and versions do not support this \
                 operation. Please specify either a function name or an unqualified function ARN.",
            )),
        }
    }

    /// The function, version or alias' version that a request names.
    pub(crate) fn find(
        &self,
        cx: &Context,
        name: &str,
        qualifier: Option<&str>,
    ) -> Result<(Arc<Function>, Qualifier), AwsError> {
        let Target { key, qualifier } = resolve(&cx.scope, name, qualifier)?;
        let whole = self.shared.registry.require(&key)?;
        // Chance 1 is above every share: the alias' own version.
        let found = whole.pointed(&qualifier, 1.0).ok_or_else(|| qualifier.not_found(&key))?;
        Ok((found, qualifier))
    }

    pub(super) async fn create(
        &self,
        cx: &Context,
        mut request: CreateFunctionRequest,
    ) -> Result<FunctionConfiguration, AwsError> {
        let code = std::mem::take(&mut request.code);
        let source = CodeSource::new(
            code.zip_file,
            code.s3_bucket,
            code.s3_key,
            &[
                ("ImageUri", code.image_uri.is_some()),
                ("S3ObjectVersion", code.s3_object_version.is_some()),
                ("S3ObjectStorageMode", code.s3_object_storage_mode.is_some()),
                ("SourceKMSKeyArn", code.source_kms_key_arn.is_some()),
            ],
        )?;
        let publish = request.publish == Some(true);
        let plan = plan(cx, &request, source)?;
        let function = self.make(cx, plan).await?;
        self.published_too(cx, function, Qualifier::Plain, publish).await
    }

    /// Makes a function: it is active, and its code unpacked, when this returns.
    pub(crate) async fn make(&self, cx: &Context, plan: Plan) -> Result<Arc<Function>, AwsError> {
        let Plan { key, mut settings, layers, place, tags, source, reserved_concurrency, token } = plan;
        super::tags::check(&tags)?;
        if let Some(existing) = self.shared.registry.get(&key) {
            return same_creation(existing, token.as_deref());
        }
        self.shared.runtimes.require(settings.family()).await?;
        self.check_role(&settings.role).await?;
        settings.layers = self.layers(cx, &layers)?;
        settings.place = self.place(cx, &place).await?;
        let (code, _pin) = self.store_code(cx, &key.scope, source).await?;
        let function = Function {
            key: key.clone(),
            settings,
            code,
            tags,
            policy: Vec::new(),
            reserved_concurrency,
            last_modified: cx.now,
            revision: self.shared.ambient.ids.uuid(),
            deployment: self.shared.ambient.ids.uuid(),
            creation_token: token.clone(),
            published: Vec::new(),
            last_version: 0,
            aliases: BTreeMap::new(),
            event_configs: BTreeMap::new(),
            runtime_updates: BTreeMap::new(),
        };
        self.shared
            .registry
            .change(&key, |old| match old {
                Some(old) => same_creation(Arc::new(old.clone()), token.as_deref()).map(|_| Change::Keep(())),
                None => Ok(Change::Store(Box::new(function), ())),
            })
            .await?;
        let function = self.shared.registry.require(&key)?;
        self.shared.deployed(&function);
        Ok(function)
    }

    /// Where a request puts a function.
    async fn place(&self, cx: &Context, config: &VpcConfig) -> Result<Option<Place>, AwsError> {
        if !Place::is_asked_for(config) {
            return Ok(None);
        }
        let network = self.shared.network.get();
        let network = network.ok_or_else(|| error::service_exception("EC2 is not available."))?;
        Place::of(config, &cx.scope, &**network).await
    }

    /// AWS's answer where Lambda cannot assume the role.
    async fn check_role(&self, role: &Arn) -> Result<(), AwsError> {
        match self.shared.credentials.issue(role, "barge-lambda-check", PROBE).await {
            Ok(_) => Ok(()),
            Err(refused) if refused.status >= 500 => Err(refused),
            Err(_) => Err(error::invalid_parameter_value_exception(
                "The role defined for the function cannot be assumed by Lambda.",
            )),
        }
    }

    /// Puts code on disk. It stays there while the pin lives, and after that while a function refers to it.
    pub(crate) async fn store_code(
        &self,
        cx: &Context,
        scope: &Scope,
        source: CodeSource,
    ) -> Result<(CodeRef, Pin), AwsError> {
        let used: u64 = self.shared.registry.all(scope).iter().map(|function| function.code.size).sum();
        if used > TOTAL_LIMIT {
            return Err(error::code_storage_exceeded_exception("Code storage limit exceeded."));
        }
        match source {
            CodeSource::Zip(zip) if zip.len() > ZIPPED_LIMIT => Err(error::request_too_large_exception(format!(
                "Zipped code must be smaller than {ZIPPED_LIMIT} bytes; put larger code into S3"
            ))),
            CodeSource::Zip(zip) => self.shared.code.put(std::io::Cursor::new(zip)).await,
            CodeSource::Inline { inline, text } => self.shared.code.put(std::io::Cursor::new(inline.zip(&text)?)).await,
            CodeSource::Object { bucket, key } => {
                let objects = self.shared.objects.get();
                let objects = objects.ok_or_else(|| error::service_exception("S3 is not available."))?;
                let object = objects.object(&cx.scope, &bucket, &key).await.map_err(|refused| {
                    error::invalid_parameter_value_exception(format!(
                        "Error occurred while GetObject. S3 Error Code: {}. S3 Error Message: {}",
                        refused.code, refused.message
                    ))
                })?;
                self.shared.code.put(object.file).await
            }
        }
    }

    pub(super) async fn update_code(
        &self,
        cx: &Context,
        request: UpdateFunctionCodeRequest,
    ) -> Result<FunctionConfiguration, AwsError> {
        let (function, naming) = self.whole(cx, &request.function_name)?;
        check_revision(request.revision_id.as_ref(), &function.revision)?;
        check_architectures(request.architectures.as_deref())?;
        let source = CodeSource::new(
            request.zip_file,
            request.s3_bucket,
            request.s3_key,
            &[
                ("ImageUri", request.image_uri.is_some()),
                ("PublishTo", request.publish_to.is_some()),
                ("S3ObjectVersion", request.s3_object_version.is_some()),
                ("S3ObjectStorageMode", request.s3_object_storage_mode.is_some()),
                ("SourceKMSKeyArn", request.source_kms_key_arn.is_some()),
            ],
        )?;
        let (code, _pin) = self.store_code(cx, &function.key.scope, source).await?;
        if request.dry_run == Some(true) {
            return Ok(Function { code, ..Function::clone(&function) }.configuration(&naming));
        }
        let function = self.redeploy(cx, &function.key, request.revision_id, |function| function.code = code).await?;
        self.shared.collect_code().await;
        self.published_too(cx, function, naming, request.publish == Some(true)).await
    }

    pub(super) async fn update_configuration(
        &self,
        cx: &Context,
        request: UpdateFunctionConfigurationRequest,
    ) -> Result<FunctionConfiguration, AwsError> {
        let (function, naming) = self.whole(cx, &request.function_name)?;
        let mut settings = function.settings.updated(&request)?;
        if let Some(layers) = &request.layers {
            settings.layers = self.layers(cx, layers)?;
        }
        if let Some(place) = &request.vpc_config {
            settings.place = self.place(cx, place).await?;
        }
        self.check_settings(&settings).await?;
        let function =
            self.redeploy(cx, &function.key, request.revision_id, |function| function.settings = settings).await?;
        Ok(function.configuration(&naming))
    }

    async fn check_settings(&self, settings: &Settings) -> Result<(), AwsError> {
        self.shared.runtimes.require(settings.family()).await?;
        self.check_role(&settings.role).await
    }

    /// Gives a template's function new settings, and new code where it is `code`'s that changed.
    pub(crate) async fn replace(&self, cx: &Context, plan: Plan, code: Code) -> Result<(), AwsError> {
        let Plan { key, mut settings, layers, place, source, .. } = plan;
        self.check_settings(&settings).await?;
        settings.layers = self.layers(cx, &layers)?;
        settings.place = self.place(cx, &place).await?;
        let stored = match code {
            Code::Changed => Some(self.store_code(cx, &key.scope, source).await?),
            Code::Same => None,
        };
        let code = stored.as_ref().map(|(code, _)| code.clone());
        self.redeploy(cx, &key, None, |function| {
            function.settings = settings;
            if let Some(code) = code {
                function.code = code;
            }
        })
        .await?;
        self.shared.collect_code().await;
        Ok(())
    }

    /// Changes code or settings: instances of before get no more work.
    async fn redeploy(
        &self,
        cx: &Context,
        key: &FunctionKey,
        revision: Option<String>,
        change: impl FnOnce(&mut Function),
    ) -> Result<Arc<Function>, AwsError> {
        let ids = &self.shared.ambient.ids;
        let (new_revision, deployment) = (ids.uuid(), ids.uuid());
        self.shared
            .registry
            .change(key, |old| {
                let mut function = old.ok_or_else(|| key.not_found())?.clone();
                check_revision(revision.as_ref(), &function.revision)?;
                change(&mut function);
                function.last_modified = cx.now;
                function.revision = new_revision;
                function.deployment = deployment;
                Ok(Change::Store(Box::new(function), ()))
            })
            .await?;
        let function = self.shared.registry.require(key)?;
        self.shared.deployed(&function);
        Ok(function)
    }

    pub(super) fn describe(&self, cx: &Context, request: &GetFunctionRequest) -> Result<GetFunctionResponse, AwsError> {
        let (function, naming) = self.find(cx, &request.function_name, request.qualifier.as_deref())?;
        let token = self.downloads.issue(&function.code.sha256, &self.shared.ambient);
        Ok(GetFunctionResponse {
            configuration: Some(function.configuration(&naming)),
            code: Some(FunctionCodeLocation {
                repository_type: Some("S3".to_owned()),
                location: Some(format!("{}/_barge/lambda/code/{token}", cx.endpoint)),
                ..FunctionCodeLocation::default()
            }),
            tags: (!function.tags.is_empty()).then(|| function.tags.clone()),
            tags_error: None,
            concurrency: function
                .reserved_concurrency
                .map(|reserved| Concurrency { reserved_concurrent_executions: Some(reserved.into()) }),
        })
    }

    pub(super) fn list(&self, cx: &Context, request: &ListFunctionsRequest) -> Result<ListFunctionsResponse, AwsError> {
        if request.master_region.is_some() {
            return Err(error::invalid_parameter_value_exception("MasterRegion is not supported by Barge."));
        }
        let limit = usize::try_from(request.max_items.unwrap_or(PAGE).clamp(1, PAGE)).unwrap_or(1);
        let mut page = self.shared.registry.list(&cx.scope, request.marker.as_deref(), limit + 1);
        let more = page.len() > limit;
        page.truncate(limit);
        let next_marker = page.last().filter(|_| more).map(|function| function.key.name.clone());
        let functions = match request.function_version {
            Some(_) => page.iter().flat_map(versions::all).collect(),
            None => page.iter().map(|function| function.configuration(&Qualifier::Plain)).collect(),
        };
        Ok(ListFunctionsResponse { next_marker, functions: Some(functions) })
    }

    pub(super) async fn delete(&self, cx: &Context, request: &DeleteFunctionRequest) -> Result<(), AwsError> {
        let target = resolve(&cx.scope, &request.function_name, request.qualifier.as_deref())?;
        match target.qualifier {
            Qualifier::Plain => self.remove(&target.key).await,
            Qualifier::Version(number) => self.remove_version(&target.key, number).await,
            Qualifier::Latest => Err(error::invalid_parameter_value_exception(
                "$LATEST version cannot be deleted without deleting the function.",
            )),
            Qualifier::Alias(_) => Err(error::invalid_parameter_value_exception(
                "Deletion of aliases is not currently supported through this operation: use DeleteAlias.",
            )),
        }
    }

    /// Removes a function; what runs of it runs on to its end.
    pub(crate) async fn remove(&self, key: &FunctionKey) -> Result<(), AwsError> {
        let versions = self
            .shared
            .registry
            .change(key, |old| {
                let old = old.ok_or_else(|| key.not_found())?;
                Ok(Change::Remove(old.published.iter().map(|version| version.number).collect::<Vec<_>>()))
            })
            .await?;
        self.shared.pools.deploy(key, "");
        for number in versions {
            self.shared.pools.deploy(&key.at(number), "");
        }
        self.shared.collect_code().await;
        Ok(())
    }
}

/// What a request and its template make of a function.
pub(crate) fn plan(cx: &Context, request: &CreateFunctionRequest, source: CodeSource) -> Result<Plan, AwsError> {
    let target = resolve(&cx.scope, &request.function_name, None)?;
    let name = &target.key.name;
    if target.qualifier != Qualifier::Plain || name.chars().count() > LONGEST_NAME {
        return Err(AwsError::validation(format!(
            "1 validation error detected: Value '{name}' at 'functionName' failed to satisfy constraint: Member must \
             have length less than or equal to {LONGEST_NAME} and no qualifier"
        )));
    }
    Ok(Plan {
        settings: Settings::create(request)?,
        layers: request.layers.clone().unwrap_or_default(),
        place: request.vpc_config.clone().unwrap_or_default(),
        tags: request.tags.clone().unwrap_or_default(),
        key: target.key,
        source,
        reserved_concurrency: None,
        token: None,
    })
}

/// The function, where the creation that asks for it has made it before.
fn same_creation(existing: Arc<Function>, token: Option<&str>) -> Result<Arc<Function>, AwsError> {
    if token.is_some() && existing.creation_token.as_deref() == token {
        return Ok(existing);
    }
    Err(error::resource_conflict_exception(format!("Function already exist: {}", existing.key.name)))
}
