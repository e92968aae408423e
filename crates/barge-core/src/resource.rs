//! What CloudFormation asks of a service: one [`ResourceProvider`] per resource type, brought by the service's crate.
//!
//! The engine knows no service; a provider knows no template.

mod outline;

use crate::{AwsError, Context, Document};
use async_trait::async_trait;
use std::collections::BTreeMap;

pub use outline::{Member, Outline, Structure, TAG, With};

/// A property's type, as far as it can be checked before anything is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PropertyType {
    /// Text; numbers and booleans are taken and written as text.
    String,
    /// A whole number; also as text.
    Integer,
    /// A number; also as text.
    Number,
    /// True or false; also as text.
    Boolean,
    /// A list.
    List,
    /// A map, or a structure with members of its own.
    Map,
    /// A map, or text with JSON in it (policy documents).
    Json,
}

/// What an update to a property does (CloudFormation User Guide, "Understand update behaviors of stack resources").
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UpdateBehavior {
    /// The resource keeps its physical id.
    InPlace,
    /// A new resource replaces the old one.
    Replacement,
    /// One or the other, by the values: [`ResourceProvider::replaces`] says which.
    Conditional,
}

/// One property of a resource type, or one member of a structure within a property.
#[derive(Clone, Copy, Debug)]
pub struct Property {
    /// As in templates, e.g. `BucketName`.
    pub name: &'static str,
    /// Its type.
    pub kind: PropertyType,
    /// Whether a template must give it.
    pub required: bool,
    /// What changing it does.
    pub update: UpdateBehavior,
    /// Whether its value, where a template gives one, is the resource's physical id.
    pub identifies: bool,
    /// What a [`Reading`] tells of it.
    pub readback: Readback,
    /// What the structure looks like that it is or, of a list, that each entry is; `None` where only the service knows.
    pub structure: Option<&'static dyn Outline>,
}

/// What can be read back of a property, and so how drift is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Readback {
    /// Its value. Members that a template does not set are the service's to fill in, apart from those of the maps within
    /// it that are named here: their keys are the template's own, so that one more is drift.
    Value {
        /// Names of maps, the property's own among them where it is one, e.g. `Variables`.
        open: &'static [&'static str],
    },
    /// Nothing: the service does not give it back, or does not keep it.
    WriteOnly,
}

/// A property that may be left out, can be changed in place and can be read back.
pub const fn property(name: &'static str, kind: PropertyType) -> Property {
    Property {
        name,
        kind,
        required: false,
        update: UpdateBehavior::InPlace,
        identifies: false,
        readback: Readback::Value { open: &[] },
        structure: None,
    }
}

impl Property {
    /// This property, required.
    #[must_use]
    pub const fn required(self) -> Self {
        Self { required: true, ..self }
    }

    /// This property, whose change replaces the resource.
    #[must_use]
    pub const fn replaces(self) -> Self {
        Self { update: UpdateBehavior::Replacement, ..self }
    }

    /// This property, which is the custom name that becomes the resource's physical id: another name is another resource.
    #[must_use]
    pub const fn identifies(self) -> Self {
        Self { update: UpdateBehavior::Replacement, identifies: true, ..self }
    }

    /// This property, whose change may replace the resource.
    #[must_use]
    pub const fn may_replace(self) -> Self {
        Self { update: UpdateBehavior::Conditional, ..self }
    }

    /// This property, which can't be read back.
    #[must_use]
    pub const fn write_only(self) -> Self {
        Self { readback: Readback::WriteOnly, ..self }
    }

    /// This property, which is such a structure or a list of them.
    #[must_use]
    pub const fn of(self, structure: &'static dyn Outline) -> Self {
        Self { structure: Some(structure), ..self }
    }

    /// This property, within which the keys of the maps called `names` are the template's own ([`Readback::Value`]).
    #[must_use]
    pub const fn open(self, names: &'static [&'static str]) -> Self {
        Self { readback: Readback::Value { open: names }, ..self }
    }
}

/// Tags as most templates write them: a list of `Key` and `Value`.
pub fn tag_list(tags: impl IntoIterator<Item = (String, String)>) -> Document {
    tags.into_iter()
        .map(|(key, value)| Document::map([("Key", key.into()), ("Value", Document::from(value))]))
        .collect()
}

/// What a template may say about a resource type. A property that is not listed is refused by name.
#[derive(Clone, Copy, Debug)]
pub struct ResourceSchema {
    /// e.g. `AWS::S3::Bucket`.
    pub type_name: &'static str,
    /// Every property that the provider honours; one that is called `*` stands for any name and type.
    pub properties: &'static [Property],
    /// The names that `Fn::GetAtt` takes.
    pub attributes: &'static [&'static str],
}

impl ResourceSchema {
    /// The property that is the resource's physical id where a template gives it.
    pub fn identifier(&self) -> Option<&'static str> {
        self.properties.iter().find(|property| property.identifies).map(|property| property.name)
    }

    /// The properties, as the members of a structure.
    pub fn members(&self) -> Vec<Member> {
        outline::members(self.properties)
    }
}

/// A resource's properties with every intrinsic function resolved: always a map.
pub type Properties = Document;

/// What identifies one creation.
#[derive(Clone, Debug)]
pub struct Creation {
    /// The resource's properties.
    pub properties: Properties,
    /// Name in the template.
    pub logical_id: String,
    /// The stack's name.
    pub stack_name: String,
    /// The stack's ARN.
    pub stack_id: String,
    /// The same for every try of this creation, and for no other: generated names and ids derive from it
    /// ([`Creation::physical_name`], [`crate::ids::SeededIds`]), so that a try after a crash finds what the one before made.
    pub token: String,
    /// The stack's tags, to be passed on to resources that take tags.
    pub tags: BTreeMap<String, String>,
}

impl Creation {
    /// The name for a resource whose template gives none: `STACK-LOGICALID-SUFFIX`, cut to `longest` characters.
    pub fn physical_name(&self, longest: usize) -> String {
        use crate::IdSource as _;
        let suffix = crate::ids::SeededIds::new(self.token.as_bytes()).upper_alphanumeric(12);
        let room = longest.saturating_sub(suffix.len() + 1);
        let stem: String = format!("{}-{}", self.stack_name, self.logical_id).chars().take(room).collect();
        format!("{}-{suffix}", stem.trim_end_matches('-'))
    }
}

/// A resource as a template sees it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Resource {
    /// What `Ref` gives and what identifies the resource in events.
    pub physical_id: String,
    /// What `Fn::GetAtt` gives, for each of the schema's attributes.
    pub attributes: BTreeMap<String, Document>,
}

/// A resource as it is now.
#[derive(Clone, Debug, PartialEq)]
pub struct Reading {
    /// As a template sees it.
    pub resource: Resource,
    /// The present values of the type's properties, in the template's shape, out of what the service keeps: only those
    /// that have one, and none that is write-only. `None` where the type's properties are not read; then it is only known
    /// whether the resource is there.
    pub properties: Option<Properties>,
}

impl Reading {
    /// A resource of the type `schema`, and what is kept of it: what the type has no property for, or can't be read back, is
    /// left out.
    pub fn new(schema: &ResourceSchema, resource: Resource, mut kept: Properties) -> Self {
        if let Document::Map(members) = &mut kept {
            let readable = |name: &str| {
                let mut properties = schema.properties.iter();
                properties.any(|property| property.name == name && property.readback != Readback::WriteOnly)
            };
            members.retain(|name, value| readable(name) && *value != Document::Null);
        }
        Self { resource, properties: Some(kept) }
    }

    /// A resource of which only this is known: that it is there.
    pub fn presence(resource: Resource) -> Self {
        Self { resource, properties: None }
    }
}

/// Creates, changes and removes resources of one type.
///
/// Each call may be repeated after a crash, with the same request id in its context: a creation with a token that was used
/// gives the same resource again, and deleting what isn't there succeeds. An update that gives a resource with another
/// physical id has replaced it: the old one is removed once the stack's update has succeeded.
#[async_trait]
pub trait ResourceProvider: Send + Sync {
    /// The type's name, properties and attributes.
    fn schema(&self) -> &ResourceSchema;

    /// Makes the resource and returns once it is ready for use.
    async fn create(&self, cx: &Context, creation: &Creation) -> Result<Resource, AwsError>;

    /// Changes the resource from `old` to the creation's properties, where no replaced property differs.
    async fn update(
        &self,
        cx: &Context,
        physical_id: &str,
        old: &Properties,
        new: &Creation,
    ) -> Result<Resource, AwsError>;

    /// Whether changing properties of [`UpdateBehavior::Conditional`] from `old` to `new` replaces the resource. Pure.
    fn replaces(&self, _old: &Properties, _new: &Properties) -> bool {
        false
    }

    /// Removes the resource; `properties` are those it was made with.
    async fn delete(&self, cx: &Context, physical_id: &str, properties: &Properties) -> Result<(), AwsError>;

    /// The same for types that must know what the resource was made as; `made` holds the properties. What the engine
    /// calls.
    async fn remove(&self, cx: &Context, physical_id: &str, made: &Creation) -> Result<(), AwsError> {
        self.delete(cx, physical_id, &made.properties).await
    }

    /// The physical id of what a failed creation has left behind, which will be removed; `None` where it left nothing, as
    /// most types' failed creations do.
    async fn remains(&self, _cx: &Context, _creation: &Creation) -> Option<String> {
        None
    }

    /// The physical id of the resource that exists under the name that `properties` give; `None` where they give none, or
    /// nothing has it. Types with another physical id than a name say how to find theirs, or have none to import.
    async fn existing(&self, cx: &Context, properties: &Properties) -> Result<Option<String>, AwsError> {
        let name = self.schema().identifier().and_then(|name| properties.get(name)).and_then(Document::scalar_text);
        let Some(name) = name else { return Ok(None) };
        Ok(self.read(cx, &name, properties).await?.map(|found| found.resource.physical_id))
    }

    /// The resource as it is now; `None` where it is gone. `properties`, those it was made with, say which one is meant and
    /// how the template wrote what may be written in several ways; nothing else of the reading may come from them.
    async fn read(&self, cx: &Context, physical_id: &str, properties: &Properties)
    -> Result<Option<Reading>, AwsError>;
}
