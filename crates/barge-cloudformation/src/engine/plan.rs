//! What a stack will be made of: a checked template with its values, and its resources with their order. Pure.

use crate::template::{
    Bound, Branches, Budget, Environment, Inputs, Problems, Processed, Pseudo, RemovalPolicy, Schemas, Template,
    TemplateError, analyse, bind_resolved, check,
};
use barge_core::Document;
use std::collections::{BTreeMap, HashMap};

/// A stack to be made.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The template.
    pub template: Template,
    /// Its text after its transforms; `None` where it has none.
    pub processed: Option<String>,
    /// Values of its parameters.
    pub parameters: BTreeMap<String, Bound>,
    /// Values of its conditions.
    pub conditions: BTreeMap<String, bool>,
    /// The resources to be made, in the template's order.
    pub resources: Vec<PlannedResource>,
    /// The exports that it imports, with their values.
    pub imports: BTreeMap<String, String>,
    /// Physical ids of resources that exist and are taken into the stack instead of being made, by logical id.
    pub existing: BTreeMap<String, String>,
}

/// One resource to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlannedResource {
    /// Name in the template.
    pub logical_id: String,
    /// e.g. `AWS::S3::Bucket`.
    pub type_name: String,
    /// Positions in the plan of what must be made before it.
    pub dependencies: Vec<usize>,
    /// What becomes of it when the stack goes.
    pub deletion_policy: RemovalPolicy,
    /// What becomes of it when an update replaces it.
    pub replace_policy: RemovalPolicy,
}

impl Plan {
    /// Plans the stack of the template `text` with the parameters and whatever else `inputs` give, where other stacks
    /// export `exports`. Everything wrong is found at once.
    pub fn new(
        text: &str,
        inputs: &Inputs,
        exports: &BTreeMap<String, String>,
        schemas: &dyn Schemas,
    ) -> Result<Self, TemplateError> {
        let Processed { template, body } = Template::process(text, inputs)?;
        let mut problems = analyse(&template, schemas);
        let parameters = bind_resolved(&template.parameters, &inputs.given, &inputs.stored).unwrap_or_else(|found| {
            problems.extend(found);
            BTreeMap::new()
        });
        let values = values(&parameters);
        let (conditions, found) = examine(&template, &values, &inputs.pseudo, Some(exports), schemas);
        problems.extend(found);
        problems.into_result()?;
        let resources = planned(&template, &conditions);
        let imports = imported(&template, &values, &conditions, &inputs.pseudo, exports);
        Ok(Self { template, processed: body, parameters, conditions, resources, imports, existing: BTreeMap::new() })
    }

    /// Checks a template of which no parameter is known: what ValidateTemplate does.
    pub fn validate(text: &str, pseudo: &Pseudo, schemas: &dyn Schemas) -> Result<Template, TemplateError> {
        let template = Template::process(text, &Inputs { pseudo: pseudo.clone(), ..Inputs::default() })?.template;
        let mut problems = analyse(&template, schemas);
        let (_, found) = examine(&template, &BTreeMap::new(), pseudo, None, schemas);
        problems.extend(found);
        problems.into_result()?;
        Ok(template)
    }
}

/// What `Ref` gives for each parameter.
fn values(parameters: &BTreeMap<String, Bound>) -> BTreeMap<String, Document> {
    parameters.iter().map(|(name, bound)| (name.clone(), bound.value.clone())).collect()
}

fn examine(
    template: &Template,
    parameters: &BTreeMap<String, Document>,
    pseudo: &Pseudo,
    exports: Option<&BTreeMap<String, String>>,
    schemas: &dyn Schemas,
) -> (BTreeMap<String, bool>, Problems) {
    let (none, nothing, budget) = (BTreeMap::new(), BTreeMap::new(), Budget::default());
    let environment =
        Environment { template, parameters, conditions: &none, pseudo, resources: &nothing, exports, budget: &budget };
    // A condition that can't be evaluated is among what `check` finds.
    let conditions = environment.conditions().unwrap_or_default();
    let problems = check(&Environment { conditions: &conditions, ..environment }, schemas);
    (conditions, problems)
}

/// Those of `exports` that the template imports.
fn imported(
    template: &Template,
    parameters: &BTreeMap<String, Document>,
    conditions: &BTreeMap<String, bool>,
    pseudo: &Pseudo,
    exports: &BTreeMap<String, String>,
) -> BTreeMap<String, String> {
    let (nothing, budget) = (BTreeMap::new(), Budget::default());
    let environment = Environment {
        template,
        parameters,
        conditions,
        pseudo,
        resources: &nothing,
        exports: Some(exports),
        budget: &budget,
    };
    let names = template.imports(&environment);
    names.into_iter().filter_map(|name| exports.get_key_value(&name)).map(|(k, v)| (k.clone(), v.clone())).collect()
}

fn planned(template: &Template, conditions: &BTreeMap<String, bool>) -> Vec<PlannedResource> {
    let holds = |condition: &Option<String>| condition.as_ref().is_none_or(|name| conditions.get(name) == Some(&true));
    let active: Vec<_> = template.resources.iter().filter(|(_, resource)| holds(&resource.condition)).collect();
    let position: HashMap<&str, usize> = active.iter().enumerate().map(|(i, (name, _))| (name.as_str(), i)).collect();
    active
        .iter()
        .map(|(name, resource)| PlannedResource {
            logical_id: (*name).clone(),
            type_name: resource.type_name.clone(),
            // A dependency that the conditions leave out is one less to wait for.
            dependencies: template
                .dependencies(name, Branches::Decided(conditions))
                .into_iter()
                .filter_map(|name| position.get(name).copied())
                .collect(),
            deletion_policy: resource.deletion_policy,
            replace_policy: resource.update_replace_policy,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Registry;
    use crate::fake::providers;
    use std::sync::Arc;

    fn plan(text: &str) -> Result<Plan, String> {
        let registry = Registry::new(providers(&Arc::default()));
        Plan::new(text, &Inputs::default(), &BTreeMap::new(), &registry).map_err(|error| error.to_string())
    }

    #[test]
    fn a_plan_holds_what_the_conditions_leave() {
        let plan = plan(
            "Conditions: {Is: !Equals [a, a], Not: !Not [!Condition Is]}\n\
             Resources:\n\
             \x20 A: {Type: 'Fake::Thing::One', Condition: Not}\n\
             \x20 B: {Type: 'Fake::Thing::One', DependsOn: [A, C], Properties: {Value: !If [Not, !Ref A, x]}}\n\
             \x20 C: {Type: 'Fake::Thing::One', Condition: Is}\n",
        )
        .unwrap();
        let planned: Vec<_> = plan.resources.iter().map(|r| (r.logical_id.as_str(), r.dependencies.clone())).collect();
        assert_eq!(planned, [("B", vec![1]), ("C", vec![])]);
    }

    #[test]
    fn a_template_at_the_limits_is_planned() {
        // 500 resources in one chain, 1 MB.
        let filler = "x".repeat(1900);
        let resources: Vec<String> = (0..500)
            .map(|n| {
                let value = if n == 0 { filler.clone() } else { format!("${{R{}}}{filler}", n - 1) };
                format!("  R{n}: {{Type: 'Fake::Thing::One', Properties: {{Value: !Sub '{value}'}}}}")
            })
            .collect();
        let plan = plan(&format!("Resources:\n{}", resources.join("\n"))).unwrap();
        assert_eq!(plan.resources[499].dependencies, [498]);
    }

    #[test]
    fn a_template_made_to_be_wrong_is_refused_all_the_same() {
        let wrong: Vec<String> = (0..400)
            .map(|n| format!("  R{n}: {{Type: 'X::Y', Properties: {{P: [{}]}}}}", "!Ref Q, ".repeat(250)))
            .collect();
        assert!(plan(&format!("Resources:\n{}", wrong.join("\n"))).unwrap_err().contains("more problems"));
        let chain: Vec<String> = (0..5000).map(|n| format!("  C{n}: !Not [!Condition C{}]", n + 1)).collect();
        let text = format!(
            "Conditions:\n{}\n  C5000: !Equals [a, a]\nResources: {{A: {{Type: 'Fake::Thing::One', Condition: C0}}}}",
            chain.join("\n")
        );
        assert_eq!(plan(&text).unwrap().resources.len(), 1);
    }
}
