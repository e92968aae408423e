//! From a tree to a [`Template`]: sections, members, limits. Everything wrong is collected before anything is refused.

use super::expression::{Dialect, Expression, Reader};
use super::problem::{Fault, Path, Problems};
use super::source::Source;
use super::{Output, RemovalPolicy, ResourceDeclaration, Template};
use super::{parameter, rules};
use barge_core::Document;
use indexmap::{IndexMap, IndexSet};

// CloudFormation User Guide, "Understand CloudFormation quotas".
const MOST_RESOURCES: usize = 500;
const MOST_PARAMETERS: usize = 200;
const MOST_OUTPUTS: usize = 200;
const MOST_MAPPINGS: usize = 200;
const LONGEST_DESCRIPTION: usize = 1024;
const LONGEST_NAME: usize = 255;

pub(super) fn template(source: Source) -> Result<Template, Problems> {
    let mut problems = Problems::default();
    let Document::Map(sections) = &source.root else {
        problems.add(Path::default(), Fault::Format("unsupported structure.".to_owned()));
        return Err(problems);
    };
    let mut template = Template { warnings: source.warnings, ..Template::default() };
    let mut walk = Walk { problems: &mut problems, dialect: dialect(&source.root) };
    walk.unknown_sections(sections);
    for (name, section) in sections {
        walk.section(&mut template, name, section);
    }
    if !sections.contains_key("Resources") || matches!(&sections["Resources"], Document::Map(map) if map.is_empty()) {
        walk.format(&Path::default(), "At least one Resources member must be defined.");
    }
    problems.into_result()?;
    Ok(template)
}

/// What values of parameters, mappings and conditions depend on: those sections of `root`, problems aside.
pub(super) fn declarations(root: &Document) -> Template {
    let (mut problems, mut template) = (Problems::default(), Template::default());
    let mut walk = Walk { problems: &mut problems, dialect: dialect(root) };
    for (name, section) in root.as_map().into_iter().flatten() {
        if !["Resources", "Outputs", "Rules"].contains(&name.as_str()) {
            walk.section(&mut template, name, section);
        }
    }
    template
}

/// The functions that a template may use.
pub(super) fn dialect(root: &Document) -> Dialect {
    let extended = |name: &Document| name.as_str() == Some(super::transform::LANGUAGE_EXTENSIONS);
    match root.get("Transform") {
        Some(Document::List(names)) if names.iter().any(extended) => Dialect::Extended,
        Some(name) if extended(name) => Dialect::Extended,
        _ => Dialect::Plain,
    }
}

struct Walk<'a> {
    problems: &'a mut Problems,
    dialect: Dialect,
}

impl Walk<'_> {
    fn reader(&mut self) -> Reader<'_> {
        Reader { problems: self.problems, dialect: self.dialect }
    }

    fn format(&mut self, path: &Path, text: impl Into<String>) {
        self.problems.add(path.clone(), Fault::Format(text.into()));
    }

    fn null(&mut self, path: &Path) {
        self.format(&Path::default(), format!("[{path}] 'null' values are not allowed in templates"));
    }

    fn unknown_sections(&mut self, sections: &IndexMap<String, Document>) {
        const KNOWN: &[&str] = &[
            "AWSTemplateFormatVersion",
            "Description",
            "Metadata",
            "Parameters",
            "Mappings",
            "Conditions",
            "Resources",
            "Outputs",
            "Rules",
            "Transform",
            "Hooks",
        ];
        let unknown: Vec<&str> = sections.keys().map(String::as_str).filter(|name| !KNOWN.contains(name)).collect();
        if !unknown.is_empty() {
            self.format(&Path::default(), format!("Invalid template property or properties [{}]", unknown.join(", ")));
        }
    }

    fn section(&mut self, template: &mut Template, name: &str, section: &Document) {
        let path = Path::of(&[name]);
        match (name, section) {
            (_, Document::Null) => self.null(&path),
            ("AWSTemplateFormatVersion", version) => match version.scalar_text() {
                Some(text) if text == "2010-09-09" => template.version = Some(text),
                _ => self.format(
                    &path,
                    "Unsupported value for AWSTemplateFormatVersion. The only valid value is 2010-09-09",
                ),
            },
            ("Description", text) => template.description = self.description(text, &path),
            ("Metadata", metadata) => template.metadata = Some(metadata.clone()),
            ("Parameters", section) => {
                for (name, declaration) in self.members(section, &path, MOST_PARAMETERS) {
                    let path = path.at(name);
                    self.name("Parameter", name, &path);
                    if let Some(parameter) = parameter::read(declaration, &path, self.problems) {
                        template.parameters.insert(name.clone(), parameter);
                    }
                }
            }
            ("Mappings", section) => {
                for (name, mapping) in self.members(section, &path, MOST_MAPPINGS) {
                    let mapping = self.mapping(mapping, &path.at(name));
                    template.mappings.insert(name.clone(), mapping);
                }
            }
            ("Conditions", section) => {
                for (name, condition) in self.members(section, &path, usize::MAX) {
                    let predicate = self.reader().predicate(condition, &path.at(name));
                    template.conditions.insert(name.clone(), predicate);
                }
            }
            ("Resources", section) => {
                for (name, resource) in self.members(section, &path, MOST_RESOURCES) {
                    let path = path.at(name);
                    self.name("Resource", name, &path);
                    if let Some(resource) = self.resource(resource, &path) {
                        template.resources.insert(name.clone(), resource);
                    }
                }
            }
            ("Outputs", section) => {
                for (name, output) in self.members(section, &path, MOST_OUTPUTS) {
                    let path = path.at(name);
                    self.name("Output", name, &path);
                    if let Some(output) = self.output(name, output, &path) {
                        template.outputs.insert(name.clone(), output);
                    }
                }
            }
            ("Rules", section) => {
                for (name, rule) in self.members(section, &path, usize::MAX) {
                    let path = path.at(name);
                    self.name("Rule", name, &path);
                    if let Some(rule) = rules::read(rule, &path, self.dialect, self.problems) {
                        template.rules.insert(name.clone(), rule);
                    }
                }
            }
            ("Hooks", _) => {
                self.problems.add(path, Fault::Unsupported(format!("the {name} section")));
            }
            _ => {}
        }
    }

    fn description(&mut self, text: &Document, path: &Path) -> Option<String> {
        match text.scalar_text() {
            Some(text) if text.len() <= LONGEST_DESCRIPTION => return Some(text),
            Some(_) => self.format(path, "'Description' length is greater than 1024."),
            None => self.format(path, "Every Description member must be a string."),
        }
        None
    }

    fn name(&mut self, kind: &str, name: &str, path: &Path) {
        if name.is_empty() || !name.bytes().all(|b| b.is_ascii_alphanumeric()) {
            self.format(path, format!("{kind} name {name} is non alphanumeric."));
        } else if name.len() > LONGEST_NAME {
            self.format(path, format!("{kind} name {name} is longer than {LONGEST_NAME} characters."));
        }
    }

    fn members<'d>(
        &mut self,
        section: &'d Document,
        path: &Path,
        most: usize,
    ) -> impl Iterator<Item = (&'d String, &'d Document)> + use<'d> {
        match section {
            Document::Map(map) if map.len() > most => {
                self.format(path, format!("Number of members, {}, is greater than maximum allowed, {most}", map.len()));
            }
            Document::Map(_) => {}
            _ => self.format(path, "unsupported structure."),
        }
        // Past the limit there is nothing to gain from more problems.
        section.as_map().filter(|map| map.len() <= most).into_iter().flatten()
    }

    fn mapping(&mut self, mapping: &Document, path: &Path) -> IndexMap<String, IndexMap<String, Document>> {
        let mut tops = IndexMap::new();
        for (top, seconds) in self.members(mapping, path, MOST_MAPPINGS) {
            let path = path.at(top);
            let mut values = IndexMap::new();
            for (second, value) in self.members(seconds, &path, MOST_MAPPINGS) {
                let plain = match value {
                    Document::List(list) => list.iter().all(|entry| entry.scalar_text().is_some()),
                    value => value.scalar_text().is_some(),
                };
                if !plain {
                    self.format(&path.at(second), "Every Mappings attribute must be a String or a List.");
                }
                values.insert(second.clone(), value.clone());
            }
            tops.insert(top.clone(), values);
        }
        tops
    }

    fn resource(&mut self, resource: &Document, path: &Path) -> Option<ResourceDeclaration> {
        let Document::Map(members) = resource else {
            self.format(path, "Any Resources member must be an object.");
            return None;
        };
        let Some(Document::String(type_name)) = members.get("Type") else {
            self.format(path, "Every Resources object must contain a Type member.");
            return None;
        };
        let mut declaration = ResourceDeclaration {
            type_name: type_name.clone(),
            properties: IndexMap::new(),
            depends_on: Vec::new(),
            condition: None,
            deletion_policy: RemovalPolicy::Delete,
            update_replace_policy: RemovalPolicy::Delete,
            metadata: None,
        };
        for (name, value) in members {
            self.resource_member(&mut declaration, name, value, &path.at(name));
        }
        Some(declaration)
    }

    fn resource_member(&mut self, declaration: &mut ResourceDeclaration, name: &str, value: &Document, path: &Path) {
        match (name, value) {
            // A description is a note for people that some tools write.
            ("Type", _) | ("Description", Document::String(_)) => {}
            (_, Document::Null) => self.null(path),
            ("Properties", Document::Map(properties)) if properties.len() == 1 && properties.contains_key("Fn::If") => {
                match spread(self.reader().expression(value, path)) {
                    Some(properties) => declaration.properties = properties,
                    None => self.format(path, "Every Properties member must be an object."),
                }
            }
            ("Properties", Document::Map(properties)) => {
                for (name, value) in properties {
                    let value = self.reader().expression(value, &path.at(name));
                    declaration.properties.insert(name.clone(), value);
                }
            }
            ("Properties", _) => self.format(path, "Every Properties member must be an object."),
            ("DependsOn", Document::String(name)) => declaration.depends_on = vec![name.clone()],
            ("DependsOn", Document::List(names)) if names.iter().all(|name| name.as_str().is_some()) => {
                declaration.depends_on = names.iter().filter_map(Document::as_str).map(str::to_owned).collect();
            }
            ("DependsOn", _) => self.format(path, "Every DependsOn value must be a string."),
            ("Condition", Document::String(name)) => declaration.condition = Some(name.clone()),
            ("Condition", _) => self.format(path, "Every Condition member must be a string."),
            ("DeletionPolicy", policy) => declaration.deletion_policy = self.policy(name, policy, path),
            ("UpdateReplacePolicy", policy) => declaration.update_replace_policy = self.policy(name, policy, path),
            ("Metadata", metadata) => declaration.metadata = Some(metadata.clone()),
            ("CreationPolicy" | "UpdatePolicy", Document::Map(_)) => {
                if counts(name, &declaration.type_name) {
                    let what = format!("the {name} of {}", declaration.type_name);
                    self.problems.add(path.clone(), Fault::Unsupported(what));
                }
            }
            ("CreationPolicy" | "UpdatePolicy", _) => {
                self.format(path, format!("Every {name} member must be an object."));
            }
            (other, _) => self.format(path, format!("Invalid template resource property '{other}'")),
        }
    }

    fn policy(&mut self, attribute: &str, policy: &Document, path: &Path) -> RemovalPolicy {
        match policy.as_str() {
            Some("Delete") => return RemovalPolicy::Delete,
            Some("Retain") => return RemovalPolicy::Retain,
            Some("RetainExceptOnCreate") if attribute == "DeletionPolicy" => {
                return RemovalPolicy::RetainExceptOnCreate;
            }
            Some("Snapshot") => {
                self.problems.add(path.clone(), Fault::Unsupported(format!("the {attribute} Snapshot")));
            }
            Some(other) => self.format(path, format!("Unrecognized {attribute} {other}")),
            None => self.format(path, format!("Every {attribute} member must be a string.")),
        }
        RemovalPolicy::Delete
    }

    fn output(&mut self, name: &str, output: &Document, path: &Path) -> Option<Output> {
        let Document::Map(members) = output else {
            self.format(path, format!("Output {name} is malformed. Every Outputs member must be an object."));
            return None;
        };
        let Some(value) = members.get("Value") else {
            self.format(path, "Every Outputs member must contain a Value object");
            return None;
        };
        let value = self.reader().expression(value, &path.at("Value"));
        let mut result = Output { description: None, value, condition: None, export: None };
        for (member, value) in members {
            let path = path.at(member);
            match (member.as_str(), value) {
                ("Value", _) => {}
                (_, Document::Null) => self.null(&path),
                ("Description", text) => result.description = self.description(text, &path),
                ("Condition", Document::String(name)) => result.condition = Some(name.clone()),
                ("Condition", _) => self.format(&path, "Every Condition member must be a string."),
                ("Export", Document::Map(export)) if export.len() == 1 && export.contains_key("Name") => {
                    result.export = export.get("Name").map(|name| self.reader().expression(name, &path.at("Name")));
                }
                ("Export", _) => {
                    self.format(&path, "Every Export member must be an object with a Name and nothing else.");
                }
                (other, _) => self.format(&path, format!("Invalid output property '{other}'")),
            }
        }
        Some(result)
    }
}

/// Whether the attribute has an effect on resources of the type (CloudFormation Template Reference, "CreationPolicy
/// attribute", "UpdatePolicy attribute"); elsewhere AWS accepts it and does nothing.
fn counts(attribute: &str, type_name: &str) -> bool {
    let types: &[&str] = match attribute {
        "CreationPolicy" => &[
            "AWS::AppStream::Fleet",
            "AWS::AutoScaling::AutoScalingGroup",
            "AWS::CloudFormation::WaitCondition",
            "AWS::EC2::Instance",
        ],
        _ => &[
            "AWS::AppStream::Fleet",
            "AWS::AutoScaling::AutoScalingGroup",
            "AWS::ElastiCache::ReplicationGroup",
            "AWS::Elasticsearch::Domain",
            "AWS::Lambda::Alias",
            "AWS::OpenSearchService::Domain",
        ],
    };
    types.contains(&type_name)
}

/// The properties of a resource whose properties depend on a condition as a whole: each depends on it then. `None` where
/// they are no map.
fn spread(properties: Expression) -> Option<IndexMap<String, Expression>> {
    let nothing = || Expression::Ref("AWS::NoValue".to_owned());
    match properties {
        Expression::Map(properties) => Some(properties),
        Expression::Ref(name) if name == "AWS::NoValue" => Some(IndexMap::new()),
        Expression::If { condition, then, otherwise } => {
            let (mut then, mut otherwise) = (spread(*then)?, spread(*otherwise)?);
            let names: IndexSet<String> = then.keys().chain(otherwise.keys()).cloned().collect();
            let chosen = |name: String| {
                let taken = |side: &mut IndexMap<String, Expression>| {
                    Box::new(side.shift_remove(&name).unwrap_or_else(nothing))
                };
                let (then, otherwise) = (taken(&mut then), taken(&mut otherwise));
                (name, Expression::If { condition: condition.clone(), then, otherwise })
            };
            Some(names.into_iter().map(chosen).collect())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::TemplateError;
    use super::*;

    fn failure(text: &str) -> String {
        match Template::parse(text) {
            Err(TemplateError::Problems(problems)) => problems.to_string(),
            other => panic!("{text}: {other:?}"),
        }
    }

    #[test]
    fn a_template_s_sections_are_read() {
        let template = Template::parse(
            "AWSTemplateFormatVersion: 2010-09-09\n\
             Description: d\n\
             Mappings: {M: {a: {b: 1, c: [x]}}}\n\
             Conditions: {C: !Equals [a, b]}\n\
             Resources:\n  R:\n    Type: X::Y\n    DependsOn: S\n    Condition: C\n    DeletionPolicy: Retain\n\
             \x20 S: {Type: X::Y, Properties: {P: !Ref R}}\n\
             Outputs: {O: {Value: !Ref S, Description: o}}\n",
        )
        .unwrap();
        assert_eq!(template.version.as_deref(), Some("2010-09-09"));
        assert_eq!(template.mappings["M"]["a"]["b"], Document::Integer(1));
        assert_eq!(template.resources["R"].depends_on, ["S"]);
        assert_eq!(template.resources["R"].deletion_policy, RemovalPolicy::Retain);
        assert_eq!(template.outputs["O"].description.as_deref(), Some("o"));
    }

    #[test]
    fn wrong_forms_are_named_in_aws_words() {
        for (text, part) in [
            ("", "unsupported structure."),
            ("just text", "unsupported structure."),
            ("{}", "At least one Resources member must be defined."),
            ("Resources: {}", "At least one Resources member must be defined."),
            ("Resources: {R: x}", "Any Resources member must be an object. (at /Resources/R)"),
            ("Resources: {R: {}}", "Every Resources object must contain a Type member."),
            ("Resources: {R: {Type: X, Foo: 1}}", "Invalid template resource property 'Foo' (at /Resources/R/Foo)"),
            ("Resources: {r-1: {Type: X}}", "Resource name r-1 is non alphanumeric."),
            ("Foo: 1\nResources: {R: {Type: X}}", "Invalid template property or properties [Foo]"),
            ("Resources: {R: {Type: X, Properties: }}", "[/Resources/R/Properties] 'null' values are not allowed"),
            (
                "Resources: {R: {Type: 'AWS::EC2::Instance', CreationPolicy: {}}}",
                "Barge does not support the CreationPolicy of",
            ),
            ("Resources: {R: {Type: X, DeletionPolicy: Keep}}", "Unrecognized DeletionPolicy Keep"),
            ("Transform: X\nResources: {R: {Type: X}}", "No transform named X found."),
            ("Resources: {R: {Type: X}}\nOutputs: {O: {}}", "must contain a Value object (at /Outputs/O)"),
            ("Resources: {R: {Type: X}}\nOutputs: {O: {Value: x, Export: n}}", "Every Export member must be an object"),
            ("AWSTemplateFormatVersion: 2011-01-01\nResources: {R: {Type: X}}", "The only valid value is 2010-09-09"),
        ] {
            assert!(failure(text).contains(part), "{text}: {}", failure(text));
        }
    }

    #[test]
    fn limits_are_aws_s() {
        let resources: Vec<String> = (0..501).map(|n| format!("  R{n}: {{Type: X}}")).collect();
        assert!(
            failure(&format!("Resources:\n{}", resources.join("\n")))
                .contains("501, is greater than maximum allowed, 500")
        );
        let long = format!("Description: {}\nResources: {{R: {{Type: X}}}}", "x".repeat(1025));
        assert!(failure(&long).contains("'Description' length is greater than 1024."));
    }

    #[test]
    fn all_problems_are_found_at_once() {
        let text = failure("Resources: {A: x, B: {}, C: {Type: X, Foo: 1}}");
        assert_eq!(text.lines().count(), 3);
    }
}
