//! The values that are known when a template is transformed: parameters, mappings, conditions, pseudo parameters. No
//! resource is.

use super::super::evaluate::{Budget, Environment, EvalError};
use super::super::expression::{Dialect, Reader};
use super::super::problem::{Fault, Path, Problems};
use super::super::{Template, parameter, read};
use super::{Inputs, Stop};
use barge_core::Document;
use std::collections::BTreeMap;

pub(super) struct Scope<'a> {
    template: Template,
    parameters: BTreeMap<String, Document>,
    conditions: BTreeMap<String, bool>,
    inputs: &'a Inputs,
    budget: Budget,
}

impl<'a> Scope<'a> {
    /// What `root` declares, with the values of `inputs`.
    pub(super) fn of(root: &Document, inputs: &'a Inputs) -> Self {
        let template = read::declarations(root);
        let parameters = parameter::known(&template.parameters, &inputs.given, &inputs.stored);
        let mut scope = Self { template, parameters, conditions: BTreeMap::new(), inputs, budget: Budget::default() };
        // A condition that can't be evaluated is found wrong when the result is checked.
        scope.conditions = scope.environment(&BTreeMap::new()).conditions().unwrap_or_default();
        scope
    }

    fn environment<'s>(&'s self, resources: &'s BTreeMap<String, barge_core::resource::Resource>) -> Environment<'s> {
        Environment {
            template: &self.template,
            parameters: &self.parameters,
            conditions: &self.conditions,
            pseudo: &self.inputs.pseudo,
            resources,
            exports: None,
            budget: &self.budget,
        }
    }

    /// The value of `document`, which stands at `path` and may hold functions; `None` for `AWS::NoValue`.
    pub(super) fn value(&self, document: &Document, path: &Path) -> Result<Option<Document>, Stop> {
        let mut problems = Problems::default();
        let expression = Reader { problems: &mut problems, dialect: Dialect::Extended }.expression(document, path);
        problems.into_result()?;
        match self.environment(&BTreeMap::new()).value(&expression) {
            Ok(value) => Ok(value),
            Err(EvalError::Unknown) if self.parameters.len() < self.template.parameters.len() => Err(Stop::Undecided),
            Err(error) => {
                let mut problems = Problems::default();
                let text = match error {
                    EvalError::Unknown => "only parameters, mappings and conditions can be used here".to_owned(),
                    EvalError::Template(text) => text,
                    error @ EvalError::NoExport(_) => error.to_string(),
                };
                problems.add(path.clone(), Fault::Function(text));
                Err(Stop::Wrong(problems))
            }
        }
    }
}
