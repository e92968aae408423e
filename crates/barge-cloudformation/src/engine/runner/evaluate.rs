//! Values of a stack's properties and outputs, and the creations and changes made of them.

use super::{Call, Runner};
use crate::engine::context::masked;
use crate::engine::record::{Evaluated, OutputRecord, ResourceRecord, StackRecord};
use crate::template::{Budget, Environment, EvalError};
use barge_core::Document;
use barge_core::resource::{Creation, Properties};
use std::collections::BTreeMap;

impl Runner {
    fn environment<'a>(&'a self, parameters: &'a BTreeMap<String, Document>, budget: &'a Budget) -> Environment<'a> {
        Environment {
            template: &self.template,
            parameters,
            conditions: &self.stack.conditions,
            pseudo: &self.pseudo,
            resources: &self.made,
            exports: Some(&self.stack.imports),
            budget,
        }
    }

    /// What the template's properties for a resource come to.
    pub(super) fn evaluated(&self, index: usize) -> Result<Evaluated, String> {
        let declared = self.template.resources.get(&self.resources[index].logical_id);
        let declared = declared.ok_or_else(|| "the resource is not in the stack's template".to_owned())?;
        let text = |error: EvalError| error.to_string();
        let budget = Budget::default();
        let environment = self.environment(&self.parameters, &budget);
        let properties = environment.map(&declared.properties).map_err(text)?;
        let masked = masked(&self.made);
        let shown = if self.shown_parameters.is_none() && masked.is_none() {
            properties.to_json()
        } else {
            let parameters = self.shown_parameters.as_ref().unwrap_or(&self.parameters);
            let resources = masked.as_ref().unwrap_or(&self.made);
            let hiding = Environment { parameters, resources, ..environment };
            hiding.map(&declared.properties).map_err(text)?.to_json()
        };
        Ok(Evaluated { properties, shown })
    }

    /// The creation of a resource; its properties are evaluated once and stored, so that a try after a restart is the
    /// same as the one before.
    pub(super) fn creation(&mut self, index: usize) -> Result<Creation, String> {
        if self.resources[index].properties.is_none() {
            let Evaluated { properties, shown } = self.evaluated(index)?;
            let record = &mut self.resources[index];
            (record.properties, record.shown) = (Some(properties), Some(shown));
        }
        let record = &self.resources[index];
        Ok(self.told(record, record.properties.clone().unwrap_or_default(), record.generation))
    }

    /// What a provider is told of a resource made in the operation `generation`.
    fn told(&self, record: &ResourceRecord, properties: Properties, generation: u64) -> Creation {
        let StackRecord { id, name, tags, .. } = &self.stack;
        Creation {
            properties,
            logical_id: record.logical_id.clone(),
            stack_name: name.clone(),
            stack_id: id.clone(),
            token: token(id, generation, &record.logical_id),
            tags: tags.clone(),
        }
    }

    pub(super) fn update_call(&self, index: usize) -> Call {
        let record = &self.resources[index];
        let next = record.next.as_ref().map(|next| next.properties.clone());
        Call::Update {
            index,
            physical_id: record.physical_id.clone().unwrap_or_default(),
            old: record.properties.clone().unwrap_or_default(),
            creation: self.told(record, next.unwrap_or_default(), record.generation),
        }
    }

    pub(super) fn replace_call(&self, index: usize) -> Call {
        let record = &self.resources[index];
        let next = record.next.as_ref().map(|next| next.properties.clone());
        Call::Create { index, creation: self.told(record, next.unwrap_or_default(), self.stack.operation) }
    }

    pub(super) fn revert_call(&self, index: usize) -> Call {
        let record = &self.resources[index];
        // What failed half-way is taken for done: setting again what is already so does no harm.
        let now = record.next.as_ref().map(|next| &next.properties).or(record.properties.as_ref());
        let before = record.before.as_ref().map(|before| before.properties.clone());
        Call::Update {
            index,
            physical_id: record.physical_id.clone().unwrap_or_default(),
            old: now.cloned().unwrap_or_default(),
            creation: self.told(record, before.unwrap_or_default(), record.generation),
        }
    }

    pub(super) fn delete_call(&self, index: usize) -> Call {
        let record = &self.resources[index];
        let properties = record.properties.clone().unwrap_or_default();
        Call::Delete {
            index,
            physical_id: record.physical_id.clone().unwrap_or_default(),
            creation: self.told(record, properties, record.generation),
        }
    }

    pub(super) fn outputs(&self) -> Result<Vec<OutputRecord>, String> {
        let budget = Budget::default();
        let environment = self.environment(&self.parameters, &budget);
        let mut outputs = Vec::new();
        for (key, output) in &self.template.outputs {
            let wanted = output.condition.as_ref().is_none_or(|name| self.stack.conditions.get(name) == Some(&true));
            if !wanted {
                continue;
            }
            let malformed = |error: EvalError| format!("Output {key} is malformed: {error}");
            let value =
                environment.text(&output.value, "The Value field of every Outputs member").map_err(malformed)?;
            let export = output.export.as_ref();
            let export = export.map(|name| environment.text(name, "The Name field of every Export member"));
            let export = export.transpose().map_err(malformed)?;
            outputs.push(OutputRecord { key: key.clone(), value, description: output.description.clone(), export });
        }
        Ok(outputs)
    }
}

/// The token of the creation of a resource in the operation `generation` of a stack.
pub(crate) fn token(stack_id: &str, generation: u64, logical_id: &str) -> String {
    match generation {
        0 => format!("{stack_id}/{logical_id}"),
        generation => format!("{stack_id}/{generation}/{logical_id}"),
    }
}
