//! Everything that can be found wrong before anything is made: [`analyse`] looks at the template alone, [`check`] also at
//! values. Both go on after each problem.

use super::evaluate::{Environment, EvalError};
use super::expression::{Expression, is_pseudo};
use super::graph::{self, Branches, conditions_in, cycles, targets, walk, walk_predicate};
use super::problem::{Block, Fault, Path, Problems};
use super::{Schemas, Template, properties};
use barge_core::resource::ResourceSchema;
use std::collections::BTreeSet;

/// Checks names: references, attributes, conditions, mappings; and cycles that hold under any condition.
pub fn analyse(template: &Template, schemas: &dyn Schemas) -> Problems {
    let mut analysis = Analysis { template, schemas, problems: Problems::default() };
    for (name, resource) in &template.resources {
        analysis.resource(name, resource);
    }
    for (name, output) in &template.outputs {
        let path = Path::of(&["Outputs", name]);
        analysis.condition(output.condition.as_deref(), &path.at("Condition"), "Outputs");
        analysis.expression(&output.value, &path.at("Value"), Block::Outputs);
        if let Some(name) = &output.export {
            analysis.export(name, &path.at("Export").at("Name"));
        }
    }
    let rules = super::rules::analyse(&template.rules, |name| template.parameters.contains_key(name));
    analysis.problems.extend(rules);
    analysis.conditions();
    analysis.problems.extend(circles(template, Branches::Neither, |_| true));
    analysis.problems
}

struct Analysis<'a> {
    template: &'a Template,
    schemas: &'a dyn Schemas,
    problems: Problems,
}

impl Analysis<'_> {
    fn resource(&mut self, name: &str, resource: &super::ResourceDeclaration) {
        let path = Path::of(&["Resources", name]);
        self.condition(resource.condition.as_deref(), &path.at("Condition"), "Resources");
        for dependency in &resource.depends_on {
            if !self.template.resources.contains_key(dependency) {
                let fault = Fault::Unresolved { name: dependency.clone(), block: Block::Resources };
                self.problems.add(path.at("DependsOn"), fault);
            }
        }
        for (property, value) in &resource.properties {
            self.expression(value, &path.at("Properties").at(property), Block::Resources);
        }
    }

    /// An export's name is known before anything is made (CloudFormation Template Reference, "Outputs").
    fn export(&mut self, name: &Expression, path: &Path) {
        self.expression(name, path, Block::Outputs);
        for target in graph::references(name, Branches::All) {
            if self.template.resources.contains_key(target) {
                let text = "The Name of an Export must not depend on a resource: use parameters and pseudo parameters";
                self.problems.add(path.clone(), Fault::Format(text.to_owned()));
            }
        }
    }

    fn condition(&mut self, name: Option<&str>, path: &Path, block: &str) {
        if let Some(name) = name.filter(|name| !self.template.conditions.contains_key(*name)) {
            let text = format!("Unresolved condition dependency {name} in the {block} block of the template");
            self.problems.add(path.clone(), Fault::Format(text));
        }
    }

    fn expression(&mut self, expression: &Expression, path: &Path, block: Block) {
        walk(expression, path, Branches::All, &mut |inner, path| {
            for (target, attribute) in targets(inner) {
                self.target(target, attribute, path, block);
            }
            self.names(inner, path);
        });
    }

    /// The conditions and mappings that an expression names.
    fn names(&mut self, expression: &Expression, path: &Path) {
        match expression {
            Expression::If { condition, .. } if !self.template.conditions.contains_key(condition) => {
                let text = format!("Unresolved condition dependency {condition} in Fn::If");
                self.problems.add(path.clone(), Fault::Format(text));
            }
            Expression::FindInMap { map, .. } => {
                if let Expression::Literal(map) = map.as_ref()
                    && let Some(map) = map.scalar_text()
                    && !self.template.mappings.contains_key(&map)
                {
                    let text = format!("Mapping named '{map}' is not present in the 'Mappings' section of template.");
                    self.problems.add(path.clone(), Fault::Function(text));
                }
            }
            _ => {}
        }
    }

    fn target(&mut self, name: &str, attribute: Option<&str>, path: &Path, block: Block) {
        let resource = self.template.resources.get(name);
        match (attribute, resource) {
            (None, None) => {
                if !is_pseudo(name) && !self.template.parameters.contains_key(name) {
                    self.problems.add(path.clone(), Fault::Unresolved { name: name.to_owned(), block });
                }
            }
            (Some(_), None) => {
                let text = format!("instance of Fn::GetAtt references undefined resource {name}");
                self.problems.add(path.clone(), Fault::Function(text));
            }
            (Some(attribute), Some(resource)) => {
                // An empty attribute is one that a parameter names: its value is looked at when it is known.
                let known = self.schemas.schema(&resource.type_name).is_none_or(|schema| has(schema, attribute));
                if !known && !attribute.is_empty() {
                    let text = format!("resource {name} does not support attribute type {attribute} in Fn::GetAtt");
                    self.problems.add(path.clone(), Fault::Function(text));
                }
            }
            (None, Some(_)) => {}
        }
    }

    fn conditions(&mut self) {
        let conditions = &self.template.conditions;
        let mut wrong = Vec::new();
        for (name, predicate) in conditions {
            let path = Path::of(&["Conditions", name]);
            let mut visit = |inner: &Expression, path: &Path| {
                for (target, attribute) in targets(inner) {
                    if attribute.is_some() || !(is_pseudo(target) || self.template.parameters.contains_key(target)) {
                        wrong.push((target.to_owned(), path.clone()));
                    }
                }
            };
            walk_predicate(predicate, &path, &mut visit, &mut |_, _| {});
        }
        for (name, path) in wrong {
            let text = format!(
                "Unresolved dependencies [{name}]. Cannot reference resources in the Conditions block of the template"
            );
            self.problems.add(path, Fault::Format(text));
        }
        let mut edges = Vec::with_capacity(conditions.len());
        for (name, predicate) in conditions {
            let named = conditions_in(predicate);
            for other in named.iter().filter(|other| !conditions.contains_key(**other)) {
                self.condition(Some(other), &Path::of(&["Conditions", name]), "Conditions");
            }
            edges.push(named.into_iter().filter_map(|other| conditions.get_index_of(other)).collect());
        }
        for group in cycles(&edges) {
            let names = group.into_iter().filter_map(|index| conditions.get_index(index));
            let list: Vec<&str> = names.map(|(name, _)| name.as_str()).collect();
            let text = format!("Circular dependency between conditions: [{}]", list.join(", "));
            self.problems.add(Path::of(&["Conditions"]), Fault::Function(text));
        }
    }
}

/// Whether the type has the attribute. `*` at the end of a schema's attribute stands for any text.
fn has(schema: &ResourceSchema, attribute: &str) -> bool {
    schema.attributes.iter().any(|known| match known.strip_suffix('*') {
        Some(stem) => attribute.starts_with(stem),
        None => *known == attribute,
    })
}

/// Checks values under what is known: types and properties against the schemas, functions' arguments, references to
/// resources that the conditions leave out, and cycles.
pub fn check(environment: &Environment<'_>, schemas: &dyn Schemas) -> Problems {
    let template = environment.template;
    let mut problems = Problems::default();
    let active = |condition: &Option<String>| {
        condition.as_ref().is_none_or(|name| environment.conditions.get(name).copied().unwrap_or(true))
    };
    let left_out: BTreeSet<&str> = template
        .resources
        .iter()
        .filter(|(_, resource)| !active(&resource.condition))
        .map(|(name, _)| name.as_str())
        .collect();
    let present = |expression: &Expression, path: &Path, block: Block, problems: &mut Problems| {
        walk(expression, path, Branches::Decided(environment.conditions), &mut |inner, path| {
            for (name, _) in targets(inner) {
                if left_out.contains(name) {
                    problems.add(path.clone(), Fault::Unresolved { name: name.to_owned(), block });
                }
            }
        });
    };
    for (name, resource) in &template.resources {
        if left_out.contains(name.as_str()) {
            continue;
        }
        let sure = resource.condition.as_ref().is_none_or(|name| environment.conditions.get(name) == Some(&true));
        if sure && schemas.schema(&resource.type_name).is_none() {
            unrecognized(name, &resource.type_name, &mut problems);
        }
        for (property, value) in &resource.properties {
            let path = Path::of(&["Resources", name, "Properties", property]);
            present(value, &path, Block::Resources, &mut problems);
        }
        if let Some(schema) = schemas.schema(&resource.type_name) {
            properties::check(environment, name, schema, &mut problems);
        }
    }
    for (name, output) in template.outputs.iter().filter(|(_, output)| active(&output.condition)) {
        let path = Path::of(&["Outputs", name, "Value"]);
        present(&output.value, &path, Block::Outputs, &mut problems);
        let list = matches!(&output.value, Expression::List(_) | Expression::Map(_));
        if list || matches!(environment.value(&output.value), Ok(Some(value)) if value.scalar_text().is_none()) {
            let text = "The Value field of every Outputs member must evaluate to a String.";
            problems.add(path.clone(), Fault::Format(text.to_owned()));
        }
        properties::values(environment, &output.value, &path, &mut problems);
    }
    problems.extend(exports(environment, |condition| active(condition)));
    problems.extend(super::rules::check(environment));
    if let Err((name, EvalError::Template(text))) = environment.conditions() {
        problems.add(Path::of(&["Conditions", &name]), Fault::Function(text));
    }
    problems.extend(circles(template, Branches::Decided(environment.conditions), |name| !left_out.contains(name)));
    problems
}

/// A resource would be made whose type isn't there. One that its condition leaves out may have any type: templates for
/// AWS hold such, with a switch for those who have no use for them.
fn unrecognized(name: &str, type_name: &str, problems: &mut Problems) {
    let path = Path::of(&["Resources", name, "Type"]);
    problems.add(path.clone(), Fault::UnrecognizedType(type_name.to_owned()));
    if let Some(reason) = super::absent::reason(type_name) {
        problems.add(path, Fault::Unsupported(format!("{type_name}: {reason}")));
    }
}

/// Export names that are no names, or that two outputs share.
fn exports(environment: &Environment<'_>, active: impl Fn(&Option<String>) -> bool) -> Problems {
    let (mut problems, mut names) = (Problems::default(), BTreeSet::new());
    for (output, declared) in environment.template.outputs.iter().filter(|(_, output)| active(&output.condition)) {
        let Some(Ok(name)) = declared.export.as_ref().map(|name| environment.text(name, "the Name of an Export"))
        else {
            continue;
        };
        let path = Path::of(&["Outputs", output, "Export", "Name"]);
        let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, ':' | '-');
        if name.is_empty() || name.len() > 255 || !name.chars().all(legal) {
            let text = format!("Export name '{name}' must have 1 to 255 letters, digits, colons and hyphens");
            problems.add(path, Fault::Format(text));
        } else if !names.insert(name.clone()) {
            problems.add(path, Fault::Format(format!("Duplicate export name {name}")));
        }
    }
    problems
}

fn circles(template: &Template, branches: Branches<'_>, active: impl Fn(&str) -> bool) -> Problems {
    let names: Vec<&str> = template.resources.keys().map(String::as_str).filter(|name| active(name)).collect();
    let index: std::collections::HashMap<&str, usize> = names.iter().enumerate().map(|(i, name)| (*name, i)).collect();
    let edges: Vec<Vec<usize>> = names
        .iter()
        .map(|name| {
            template.dependencies(name, branches).into_iter().filter_map(|name| index.get(name).copied()).collect()
        })
        .collect();
    let mut problems = Problems::default();
    for group in graph::cycles(&edges) {
        let list = group.into_iter().map(|index| names[index].to_owned()).collect();
        problems.add(Path::of(&["Resources"]), Fault::Cycle(list));
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::template::{Budget, Pseudo, bind};
    use barge_core::Document;
    use barge_core::resource::{Property, PropertyType, Structure, TAG, With, property};
    use std::collections::BTreeMap;

    const PROPERTIES: &[Property] = &[
        property("Name", PropertyType::String).required(),
        property("Priority", PropertyType::Integer),
        property("Ratio", PropertyType::Number),
        property("Open", PropertyType::Boolean),
        property("Tags", PropertyType::List).of(TAG),
        property("Options", PropertyType::Map),
        property("Limits", PropertyType::Map).of(&With(LIMITS, &[property("More", PropertyType::Json)])),
        property("Policy", PropertyType::Json),
    ];
    const LIMITS: &Structure = &Structure(&[
        property("Jobs", PropertyType::Integer).required(),
        property("Rates", PropertyType::List).of(RATE),
    ]);
    const RATE: &Structure =
        &Structure(&[property("PerSecond", PropertyType::Number), property("Tags", PropertyType::List).of(TAG)]);
    const QUEUE: ResourceSchema =
        ResourceSchema { type_name: "X::Queue", properties: PROPERTIES, attributes: &["Arn", "Out.*"] };

    struct Types;
    impl Schemas for Types {
        fn schema(&self, type_name: &str) -> Option<&ResourceSchema> {
            (type_name == "X::Queue").then_some(&QUEUE)
        }
    }

    fn problems(text: &str, given: &[(&str, &str)]) -> String {
        let template = Template::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        let mut problems = analyse(&template, &Types);
        let given = given.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        let bound = bind(&template.parameters, &given).unwrap_or_default();
        let parameters: BTreeMap<String, Document> = bound.into_iter().map(|(k, v)| (k, v.value)).collect();
        let (none, nothing, pseudo) = (BTreeMap::new(), BTreeMap::new(), Pseudo::default());
        let budget = Budget::default();
        let environment = Environment {
            template: &template,
            parameters: &parameters,
            conditions: &none,
            pseudo: &pseudo,
            resources: &nothing,
            exports: None,
            budget: &budget,
        };
        let conditions = environment.conditions().unwrap_or_default();
        problems.extend(check(&Environment { conditions: &conditions, ..environment }, &Types));
        problems.to_string()
    }

    fn queue(properties: &str) -> String {
        problems(
            &format!(
                "Resources: {{Q: {{Type: 'X::Queue', Properties: {{{properties}}}}}, O: {{Type: 'X::Queue', Properties: {{Name: o}}}}}}"
            ),
            &[],
        )
    }

    #[test]
    fn good_properties_pass_as_people_write_them() {
        for properties in [
            "Name: q",
            "Name: 7, Priority: '1', Ratio: '0.25', Open: 'True', Tags: [], Options: {a: b}, Policy: '{}'",
            "Name: !Ref O, Priority: !GetAtt O.Arn, Tags: !Split [',', !Ref O], Policy: {a: !Ref O}",
            "Name: !Sub '${O.Arn}-${AWS::Region}', Priority: 1, Ratio: 1, Open: false",
            "Name: !GetAtt O.Out.Anything, Ratio: !Ref AWS::NoValue",
            "Name: q, Limits: {Jobs: '3', More: {a: [b]}, Rates: [{PerSecond: 0.5, Tags: [{Key: !Ref O, Value: 7}]}]}",
            "Name: q, Limits: {Jobs: !GetAtt O.Arn, Rates: !Split [',', !GetAtt O.Arn], Nope: !Ref AWS::NoValue}",
            "Name: q, Tags: [!Ref AWS::NoValue, {Key: !Sub '${O}', Value: !Ref O}]",
        ] {
            assert_eq!(queue(properties), "", "{properties}");
        }
    }

    #[test]
    fn wrong_properties_are_named_before_anything_is_made() {
        for (properties, part) in [
            ("", "validation failed for resource Q with message: #: required key [Name] not found"),
            ("Name: !Ref AWS::NoValue", "#: required key [Name] not found"),
            ("Name: q, Nme: x", "#: extraneous key [Nme] is not permitted"),
            ("Name: [q]", "#/Name: expected type: String, found: JSONArray"),
            ("Name: q, Priority: high", "#/Priority: expected type: Integer, found: String"),
            ("Name: q, Priority: 1.5", "#/Priority: expected type: Integer, found: Number"),
            ("Name: q, Open: 1", "#/Open: expected type: Boolean, found: Integer"),
            ("Name: q, Tags: {a: b}", "#/Tags: expected type: JSONArray, found: JSONObject"),
            ("Name: q, Tags: {a: !Ref O}", "#/Tags: expected type: JSONArray, found: JSONObject"),
            ("Name: q, Options: x", "#/Options: expected type: JSONObject, found: String"),
            ("Name: q, Limits: {Jobs: 1, Jbs: 2}", "#/Limits: extraneous key [Jbs] is not permitted"),
            ("Name: q, Limits: {More: {}}", "#/Limits: required key [Jobs] not found"),
            ("Name: q, Limits: {Jobs: !Ref AWS::NoValue}", "#/Limits: required key [Jobs] not found"),
            ("Name: q, Limits: {Jobs: many, Rates: !Ref O}", "#/Limits/Jobs: expected type: Integer, found: String"),
            ("Name: q, Limits: {Jobs: 1, Rates: {}}", "#/Limits/Rates: expected type: JSONArray, found: JSONObject"),
            (
                "Name: q, Limits: {Jobs: 1, Rates: [{}, 7]}",
                "#/Limits/Rates/1: expected type: JSONObject, found: Integer",
            ),
            (
                "Name: q, Limits: {Jobs: 1, Rates: [{Tags: [{Key: !Ref O}]}]}",
                "#/Limits/Rates/0/Tags/0: required key [Value] not found",
            ),
            ("Name: q, Tags: [[]]", "#/Tags/0: expected type: JSONObject, found: JSONArray"),
            ("Name: !Select [3, [a]]", "nonexistent value at index 3 (at /Resources/Q/Properties/Name)"),
        ] {
            assert!(queue(properties).contains(part), "{properties}: {}", queue(properties));
        }
    }

    #[test]
    fn missing_references_are_named_with_their_places() {
        for (properties, part) in [
            (
                "Name: !Ref Gone",
                "Template format error: Unresolved resource dependencies [Gone] in the Resources block of the template",
            ),
            ("Name: !Sub 'a-${Gone}'", "(at /Resources/Q/Properties/Name)"),
            ("Name: !GetAtt Gone.Arn", "Template error: instance of Fn::GetAtt references undefined resource Gone"),
            ("Name: !Sub '${Gone.Arn}'", "instance of Fn::GetAtt references undefined resource Gone"),
            ("Name: !GetAtt O.Nope", "resource O does not support attribute type Nope in Fn::GetAtt"),
            ("Name: !If [Gone, a, b]", "Unresolved condition dependency Gone in Fn::If"),
            ("Name: !FindInMap [Gone, a, b]", "Mapping named 'Gone' is not present"),
        ] {
            assert!(queue(properties).contains(part), "{properties}: {}", queue(properties));
        }
    }

    #[test]
    fn types_cycles_and_conditions_are_checked() {
        for (text, part) in [
            (
                "Resources: {A: {Type: 'X::Nope'}, B: {Type: 'Y::Nope'}}",
                "Template format error: Unrecognized resource types: [X::Nope, Y::Nope]",
            ),
            (
                "Resources: {A: {Type: 'X::Queue', Properties: {Name: !Ref B}}, B: {Type: 'X::Queue', Properties: {Name: b}, DependsOn: A}}",
                "Circular dependency between resources: [A, B]",
            ),
            (
                "Resources: {A: {Type: 'X::Queue', Properties: {Name: a}, DependsOn: Gone}}",
                "dependencies [Gone] in the Resources",
            ),
            (
                "Resources: {A: {Type: 'X::Queue', Properties: {Name: a}, Condition: C}}",
                "Unresolved condition dependency C",
            ),
            (
                "Conditions: {C: !Equals [!Ref A, x]}\nResources: {A: {Type: 'X::Queue', Properties: {Name: a}}}",
                "Unresolved dependencies [A]. Cannot reference resources in the Conditions block",
            ),
            (
                "Conditions: {C: !Not [!Condition D], D: !Not [!Condition C]}\nResources: {A: {Type: 'X::Queue', Properties: {Name: a}}}",
                "Circular dependency between conditions: [C, D]",
            ),
            (
                "Resources: {A: {Type: 'X::Queue', Properties: {Name: a}}}\nOutputs: {O: {Value: !Ref Gone}}",
                "dependencies [Gone] in the Outputs block",
            ),
            (
                "Resources: {A: {Type: 'X::Queue', Properties: {Name: a}}}\nOutputs: {O: {Value: [a]}}",
                "must evaluate to a String. (at /Outputs/O/Value)",
            ),
        ] {
            assert!(problems(text, &[]).contains(part), "{text}: {}", problems(text, &[]));
        }
    }

    #[test]
    fn conditions_decide_what_is_looked_at() {
        const TEXT: &str = "
Parameters: {Make: {Type: String}}
Conditions: {Make: !Equals [!Ref Make, 'yes']}
Resources:
  A: {Type: 'X::Queue', Condition: Make, Properties: {Name: !If [Make, a, !Ref B]}}
  B: {Type: 'X::Queue', Properties: {Name: !If [Make, !Ref A, b]}}
Outputs:
  O: {Value: !Ref A, Condition: Make}
";
        assert_eq!(problems(TEXT, &[("Make", "yes")]), "");
        assert_eq!(problems(TEXT, &[("Make", "no")]), "");
        let unconditional = TEXT.replace(", Condition: Make}\n", "}\n");
        assert!(problems(&unconditional, &[("Make", "no")]).contains("dependencies [A] in the Outputs block"));
    }

    #[test]
    fn properties_can_depend_on_a_condition_as_a_whole() {
        const TEXT: &str = "
Parameters: {Make: {Type: String}}
Conditions: {Make: !Equals [!Ref Make, 'yes']}
Resources:
  A: {Type: 'X::Queue', Properties: !If [Make, {Name: a, Priority: 1}, {Name: b, Nope: 1}]}
";
        assert_eq!(problems(TEXT, &[("Make", "yes")]), "");
        assert!(problems(TEXT, &[("Make", "no")]).contains("extraneous key [Nope]"));
        assert!(
            problems(&TEXT.replace("{Name: a, Priority: 1}", "!Ref AWS::NoValue"), &[("Make", "yes")])
                .contains("[Name]")
        );
        let template = Template::parse(&TEXT.replace("{Name: a, Priority: 1}", "text"));
        assert!(template.unwrap_err().to_string().contains("must be an object"));
    }

    #[test]
    fn a_type_that_is_not_there_matters_where_it_would_be_made() {
        const TEXT: &str = "
Parameters: {Key: {Type: String, Default: ''}}
Conditions: {Make: !Equals [!Ref Key, '']}
Resources:
  K: {Type: 'X::Key', Condition: Make}
  Q: {Type: 'X::Queue', Properties: {Name: !If [Make, !GetAtt K.Arn, !Ref Key]}}
";
        assert_eq!(problems(TEXT, &[("Key", "mine")]), "");
        assert!(problems(TEXT, &[]).contains("Unrecognized resource types: [X::Key]"));
    }

    #[test]
    fn all_problems_come_at_once() {
        let text = "Resources: {A: {Type: 'X::Nope'}, B: {Type: 'X::Queue', Properties: {Foo: !Ref Gone}}}";
        let found = problems(text, &[]);
        for part in ["X::Nope", "[Gone]", "extraneous key [Foo]", "required key [Name]"] {
            assert!(found.contains(part), "{found}");
        }
    }
}
