//! `AWS::Lambda::Function` (CloudFormation Template Reference).

use crate::LambdaService;
use crate::api::functions::{Code, CodeSource, plan};
use crate::code::Inline;
use crate::function::Function;
use crate::names::{FunctionKey, LATEST, Qualifier};
use crate::runtimes::Family;
use async_trait::async_trait;
use barge_core::resource::{
    Creation, Properties, Property, PropertyType, Reading, Resource, ResourceProvider, ResourceSchema, Structure,
    property, tag_list,
};
use barge_core::{AwsError, Context, Document};
use barge_wire::lambda::{
    CreateFunctionRequest, Environment, EphemeralStorage, LoggingConfig, TracingConfig, UpdateRuntimeOn, VpcConfig,
    error,
};
use barge_wire::{Typed, from_properties, to_properties};
use indexmap::IndexMap;
use std::collections::BTreeMap;
use std::sync::Arc;

const SCHEMA: ResourceSchema =
    ResourceSchema { type_name: "AWS::Lambda::Function", properties: &PROPERTIES, attributes: &["Arn"] };

const PROPERTIES: [Property; 19] = [
    property("FunctionName", PropertyType::String).identifies(),
    property("Code", PropertyType::Map).of(CODE).required().write_only(),
    property("Role", PropertyType::String).required(),
    property("Runtime", PropertyType::String),
    property("Handler", PropertyType::String),
    property("Description", PropertyType::String),
    property("Timeout", PropertyType::Integer),
    property("MemorySize", PropertyType::Integer),
    property("Environment", PropertyType::Map).of(Environment::SHAPE).open(&["Variables"]),
    property("EphemeralStorage", PropertyType::Map).of(EphemeralStorage::SHAPE),
    property("Architectures", PropertyType::List),
    property("Layers", PropertyType::List),
    property("LoggingConfig", PropertyType::Map).of(LoggingConfig::SHAPE),
    property("TracingConfig", PropertyType::Map).of(TracingConfig::SHAPE),
    property("VpcConfig", PropertyType::Map).of(VpcConfig::SHAPE),
    property("RuntimeManagementConfig", PropertyType::Map).of(RUNTIME_MANAGEMENT),
    property("PackageType", PropertyType::String).replaces(),
    property("ReservedConcurrentExecutions", PropertyType::Integer),
    property("Tags", PropertyType::List).of(TAG),
];

const CODE: &Structure = &Structure(&[
    property("S3Bucket", PropertyType::String),
    property("S3Key", PropertyType::String),
    property("ZipFile", PropertyType::String),
]);

const RUNTIME_MANAGEMENT: &Structure = &Structure(&[
    property("UpdateRuntimeOn", PropertyType::String),
    property("RuntimeVersionArn", PropertyType::String),
]);

/// Unlike those of other types, it needs no value.
const TAG: &Structure =
    &Structure(&[property("Key", PropertyType::String).required(), property("Value", PropertyType::String)]);

/// Characters of a generated name.
const LONGEST_NAME: usize = 64;

/// Tags of a function under AWS's reserved prefix are its own business.
const STACK_TAGS: &str = "aws:";

/// The provider.
pub(super) struct FunctionResource {
    service: Arc<LambdaService>,
}

impl FunctionResource {
    pub(super) fn new(service: Arc<LambdaService>) -> Self {
        Self { service }
    }
}

impl FunctionResource {
    /// Says when the runtime is updated, as the properties do: automatically where they don't.
    async fn manage_runtime(&self, cx: &Context, name: &str, properties: &Properties) -> Result<(), AwsError> {
        let config = properties.get("RuntimeManagementConfig").and_then(Document::as_map).cloned().unwrap_or_default();
        let mut members = IndexMap::from([("UpdateRuntimeOn".to_owned(), Document::from("Auto"))]);
        members.extend(config);
        members.insert("FunctionName".to_owned(), name.into());
        self.service.manage_runtime(cx, &from_properties(&Document::Map(members))?).await.map(drop)
    }
}

#[async_trait]
impl ResourceProvider for FunctionResource {
    fn schema(&self) -> &ResourceSchema {
        &SCHEMA
    }

    async fn create(&self, cx: &Context, creation: &Creation) -> Result<Resource, AwsError> {
        let name = creation.properties.get("FunctionName").and_then(Document::scalar_text);
        let name = name.unwrap_or_else(|| creation.physical_name(LONGEST_NAME));
        let (request, source) = request(&creation.properties, &name)?;
        let mut plan = plan(cx, &request, source)?;
        plan.tags = tags(creation);
        plan.token = Some(creation.token.clone());
        let function = self.service.make(cx, plan).await?;
        // A second step, so that the account's limit is checked; doing it again changes nothing.
        if let Some(reserved) = reserved(&creation.properties)? {
            self.service.reserve(cx, &name, Some(reserved)).await?;
        }
        if creation.properties.get("RuntimeManagementConfig").is_some() {
            self.manage_runtime(cx, &name, &creation.properties).await?;
        }
        Ok(resource(&function))
    }

    async fn update(
        &self,
        cx: &Context,
        physical_id: &str,
        old: &Properties,
        new: &Creation,
    ) -> Result<Resource, AwsError> {
        let (request, source) = request(&new.properties, physical_id)?;
        let plan = plan(cx, &request, source)?;
        let code_changed = old.get("Code") != new.properties.get("Code") || inline(old) != inline(&new.properties);
        let code = if code_changed { Code::Changed } else { Code::Same };
        self.service.replace(cx, plan, code).await?;
        if old.get("ReservedConcurrentExecutions") != new.properties.get("ReservedConcurrentExecutions") {
            self.service.reserve(cx, physical_id, reserved(&new.properties)?).await?;
        }
        if old.get("RuntimeManagementConfig") != new.properties.get("RuntimeManagementConfig") {
            self.manage_runtime(cx, physical_id, &new.properties).await?;
        }
        let wanted = tags(new);
        self.service.change_tags(cx, physical_id, |tags| *tags = wanted).await?;
        Ok(resource(&self.service.whole(cx, physical_id)?.0))
    }

    async fn delete(&self, cx: &Context, physical_id: &str, _: &Properties) -> Result<(), AwsError> {
        match self.service.remove(&FunctionKey::new(&cx.scope, physical_id)).await {
            Err(error) if !error.is("ResourceNotFoundException") => Err(error),
            _ => Ok(()),
        }
    }

    async fn read(&self, cx: &Context, physical_id: &str, _: &Properties) -> Result<Option<Reading>, AwsError> {
        let key = FunctionKey::new(&cx.scope, physical_id);
        let found = self.service.shared.registry.get(&key);
        Ok(found.map(|function| Reading::new(&SCHEMA, resource(&function), kept(&function))))
    }
}

fn resource(function: &Function) -> Resource {
    let arn = function.key.arn().to_string().into();
    Resource { physical_id: function.key.name.clone(), attributes: BTreeMap::from([("Arn".to_owned(), arn)]) }
}

/// The function as its API shows it, with what a template writes in another way.
fn kept(function: &Function) -> Properties {
    let shown = to_properties(function.configuration(&Qualifier::Plain));
    let updates = function.runtime_updates.get(LATEST).copied().unwrap_or(UpdateRuntimeOn::Auto);
    let tags = function.tags.iter().map(|(key, value)| (key.clone(), value.clone()));
    let own = [
        ("Layers", function.settings.layers.iter().map(|layer| layer.arn.as_str()).collect()),
        ("ReservedConcurrentExecutions", function.reserved_concurrency.map(i64::from).into()),
        ("RuntimeManagementConfig", Document::map([("UpdateRuntimeOn", updates.as_str().into())])),
        ("Tags", tag_list(tags)),
    ];
    let own = own.map(|(name, value)| (name.to_owned(), value));
    Document::map(shown.as_map().cloned().unwrap_or_default().into_iter().chain(own))
}

/// The properties as a request for a function called `name`, and where its code comes from.
fn request(properties: &Properties, name: &str) -> Result<(CreateFunctionRequest, CodeSource), AwsError> {
    let own = ["FunctionName", "Code", "Tags", "ReservedConcurrentExecutions", "RuntimeManagementConfig"];
    let members = properties.as_map().into_iter().flatten();
    let members = members.filter(|(name, _)| !own.contains(&name.as_str()));
    let members = members.map(|(name, value)| (name.clone(), value.clone()));
    let named = [("FunctionName".to_owned(), Document::from(name)), ("Code".to_owned(), Document::map::<String>([]))];
    let request: CreateFunctionRequest = from_properties(&Document::map(members.chain(named)))?;
    let source = source(properties)?;
    Ok((request, source))
}

fn source(properties: &Properties) -> Result<CodeSource, AwsError> {
    let code = properties.get("Code").and_then(Document::as_map);
    let code = code.ok_or_else(|| AwsError::new("ValidationError", 400, "Property Code must be a map"))?;
    let text = |name: &str| code.get(name).and_then(Document::scalar_text);
    match (text("ZipFile"), text("S3Bucket"), text("S3Key")) {
        (Some(text), None, None) => {
            let inline = inline(properties).ok_or_else(|| {
                error::invalid_parameter_value_exception("Code.ZipFile works with Python and Node.js runtimes only.")
            })?;
            Ok(CodeSource::Inline { inline, text })
        }
        (None, Some(bucket), Some(key)) => Ok(CodeSource::Object { bucket, key }),
        _ => Err(error::invalid_parameter_value_exception("Code needs either ZipFile or S3Bucket and S3Key.")),
    }
}

/// What inline code of these properties becomes.
fn inline(properties: &Properties) -> Option<Inline> {
    let runtime = properties.get("Runtime").and_then(Document::as_str)?;
    Inline::of(Family::of(barge_wire::lambda::Runtime::parse(runtime)?)?)
}

fn reserved(properties: &Properties) -> Result<Option<i64>, AwsError> {
    let Some(value) = properties.get("ReservedConcurrentExecutions").and_then(Document::scalar_text) else {
        return Ok(None);
    };
    let number = value.parse().ok().filter(|number| *number >= 0);
    number.map(Some).ok_or_else(|| {
        AwsError::new("ValidationError", 400, "ReservedConcurrentExecutions must be a whole number, 0 or greater")
    })
}

/// The stack's tags, under the function's own.
fn tags(creation: &Creation) -> BTreeMap<String, String> {
    let own = creation.properties.get("Tags").and_then(Document::as_list).unwrap_or_default().iter();
    let own = own.filter_map(|tag| {
        Some((tag.get("Key")?.scalar_text()?, tag.get("Value").and_then(Document::scalar_text).unwrap_or_default()))
    });
    let stack = creation.tags.iter().filter(|(key, _)| !key.starts_with(STACK_TAGS));
    stack.map(|(key, value)| (key.clone(), value.clone())).chain(own).collect()
}
