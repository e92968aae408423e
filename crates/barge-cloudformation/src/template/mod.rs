//! Templates: text to tree (`source`), tree to a typed template (`read`), what is wrong with it (`analysis`), and its
//! values under parameters and made resources (`evaluate`). All pure: nothing here knows a service, a stack's state,
//! a clock or a store.

mod absent;
mod analysis;
mod cidr;
mod evaluate;
mod expression;
mod graph;
mod json;
mod parameter;
mod problem;
mod properties;
mod read;
mod rules;
mod source;
mod sub;
mod transform;
mod yaml;

pub use analysis::{analyse, check};
pub use evaluate::{Budget, Environment, EvalError, KNOWN_LATER, Pseudo};
pub use expression::{Expression, PSEUDO_PARAMETERS, Predicate};
pub use graph::{Branches, attributes, cycles, references};
pub use parameter::{Bound, Parameter, ParameterSource, ParameterType, bind, bind_resolved, stored_names};
pub use problem::{Block, Fault, Path, Problem, Problems};
pub use rules::{Assertion, Rule, Test};
pub use source::{Source, SyntaxError, Warning};
pub use sub::Part;
pub use transform::{Inputs, Processed};

use barge_core::Document;
use barge_core::resource::{Properties, ResourceSchema};
use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// A template as its author declared it (CloudFormation User Guide, "CloudFormation template sections").
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Template {
    /// `Description`.
    pub description: Option<String>,
    /// `AWSTemplateFormatVersion`.
    pub version: Option<String>,
    /// `Metadata`, as written.
    pub metadata: Option<Document>,
    /// `Parameters` by name.
    pub parameters: IndexMap<String, Parameter>,
    /// `Mappings`: values by mapping, top-level key and second-level key.
    pub mappings: IndexMap<String, IndexMap<String, IndexMap<String, Document>>>,
    /// `Conditions` by name.
    pub conditions: IndexMap<String, Predicate>,
    /// `Rules` by name.
    pub rules: IndexMap<String, Rule>,
    /// `Transform`: the names of the macros that were carried out.
    pub transforms: Vec<String>,
    /// `Resources` by logical id.
    pub resources: IndexMap<String, ResourceDeclaration>,
    /// `Outputs` by name.
    pub outputs: IndexMap<String, Output>,
    /// What was accepted with a doubt.
    pub warnings: Vec<Warning>,
}

/// What becomes of a resource when it is no longer wanted (CloudFormation Template Reference, "DeletionPolicy attribute").
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum RemovalPolicy {
    /// It is deleted.
    #[default]
    Delete,
    /// It stays and leaves the stack.
    Retain,
    /// As `Retain`, but deleted where the stack's creation is rolled back.
    RetainExceptOnCreate,
}

impl RemovalPolicy {
    /// As templates write it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Delete => "Delete",
            Self::Retain => "Retain",
            Self::RetainExceptOnCreate => "RetainExceptOnCreate",
        }
    }
}

/// One resource of a template.
#[derive(Clone, Debug, PartialEq)]
pub struct ResourceDeclaration {
    /// e.g. `AWS::S3::Bucket`.
    pub type_name: String,
    /// Property values by name.
    pub properties: IndexMap<String, Expression>,
    /// Logical ids of what must be made before it.
    pub depends_on: Vec<String>,
    /// The condition under which it is made.
    pub condition: Option<String>,
    /// What happens when it leaves the stack or the stack goes.
    pub deletion_policy: RemovalPolicy,
    /// What happens to the old one when an update replaces it.
    pub update_replace_policy: RemovalPolicy,
    /// `Metadata`, as written.
    pub metadata: Option<Document>,
}

/// One output of a template.
#[derive(Clone, Debug, PartialEq)]
pub struct Output {
    /// `Description`.
    pub description: Option<String>,
    /// `Value`.
    pub value: Expression,
    /// The condition under which there is such an output.
    pub condition: Option<String>,
    /// `Export`: the name under which other stacks import the value.
    pub export: Option<Expression>,
}

/// The resource types that there are.
pub trait Schemas {
    /// What a template may say about the type; `None` where there is no such type.
    fn schema(&self, type_name: &str) -> Option<&ResourceSchema>;

    /// Whether a resource of the type is replaced where properties that may replace it change from `old` to `new`.
    fn replaces(&self, _type_name: &str, _old: &Properties, _new: &Properties) -> bool {
        false
    }
}

impl Template {
    /// The longest `TemplateBody`, in bytes (CloudFormation User Guide, "Understand CloudFormation quotas").
    pub const LONGEST_BODY: usize = 51_200;
    /// The longest template behind a `TemplateURL`, in bytes (same page).
    pub const LONGEST_STORED: usize = 1_048_576;

    /// Reads a template. All problems of its form are reported together; references are not looked at.
    ///
    /// Transforms are carried out with the parameters' defaults. Where that is not enough to tell what they make, the
    /// template has everything but conditions, rules, resources and outputs: [`Template::process`] knows more.
    pub fn parse(text: &str) -> Result<Self, TemplateError> {
        Ok(transform::process(text, &Inputs::default())?.template)
    }

    /// Reads a template with the parameters that a call gives, and carries out its transforms.
    pub fn process(text: &str, inputs: &Inputs) -> Result<Processed, TemplateError> {
        transform::process(text, inputs)
    }

    /// The names of the exports that the template imports, as far as they are known.
    pub fn imports(&self, environment: &Environment<'_>) -> BTreeSet<String> {
        let mut names = BTreeSet::new();
        let branches = Branches::Decided(environment.conditions);
        let active = |condition: &Option<String>| {
            condition.as_ref().is_none_or(|name| environment.conditions.get(name).copied().unwrap_or(true))
        };
        let resources = self.resources.values().filter(|resource| active(&resource.condition));
        let outputs = self.outputs.values().filter(|output| active(&output.condition));
        let values =
            resources.flat_map(|resource| resource.properties.values()).chain(outputs.map(|output| &output.value));
        for value in values {
            graph::walk(value, &Path::default(), branches, &mut |inner, _| {
                if let Expression::ImportValue(name) = inner {
                    names.extend(environment.text(name, "Fn::ImportValue"));
                }
            });
        }
        names
    }
}

/// A text is no template.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// It is not YAML or JSON.
    #[error(transparent)]
    Syntax(#[from] SyntaxError),
    /// It has not the form of a template.
    #[error(transparent)]
    Problems(#[from] Problems),
}
