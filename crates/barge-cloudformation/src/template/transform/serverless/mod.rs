//! `AWS::Serverless-2016-10-31`: each `AWS::Serverless::Function` becomes the function, its role, its version and alias,
//! and what its events need (AWS Serverless Application Model Developer Guide, "AWS::Serverless::Function" and
//! "CloudFormation resources generated when AWS::Serverless::Function is specified"). Every other serverless type is
//! refused by name.

mod events;
mod function;
mod globals;
mod policies;

use super::super::problem::{Fault, Path, Problems};
use super::{Inputs, Scope, Stop};
use barge_core::Document;
use indexmap::IndexMap;

const FUNCTION: &str = "AWS::Serverless::Function";

/// Expands `root` in place.
pub(super) fn expand(root: &mut Document, inputs: &Inputs) -> Result<(), Stop> {
    let scope = Scope::of(root, inputs);
    let Document::Map(sections) = root else { return Ok(()) };
    let mut problems = Problems::default();
    let defaults =
        sections.shift_remove("Globals").map(|globals| globals::read(&globals, &mut problems)).unwrap_or_default();
    let Some(Document::Map(declared)) = sections.get_mut("Resources") else {
        return Ok(problems.into_result()?);
    };
    let mut work =
        Expansion { scope, resources: IndexMap::new(), aliases: IndexMap::new(), buckets: Vec::new(), problems };
    for (name, resource) in std::mem::take(declared) {
        let path = Path::of(&["Resources", &name]);
        match resource.get("Type").and_then(Document::as_str) {
            Some(FUNCTION) => function::expand(&mut work, &name, resource, &defaults, &path)?,
            Some(other) if other.starts_with("AWS::Serverless::") => {
                work.problems.add(path.at("Type"), Fault::Unsupported(format!("the type {other}")));
            }
            _ => {
                work.resources.insert(name, resource);
            }
        }
    }
    work.wire_buckets();
    work.problems.into_result()?;
    *declared = work.resources;
    let aliases = work.aliases;
    for name in ["Resources", "Outputs"] {
        if let Some(section) = sections.get_mut(name) {
            rename(section, &aliases);
        }
    }
    Ok(())
}

/// What is made so far.
struct Expansion<'a> {
    /// The values that are known.
    scope: Scope<'a>,
    resources: IndexMap<String, Document>,
    /// Logical ids by the names that templates use for generated resources, `Function.Alias` and `Function.Version`.
    aliases: IndexMap<String, String>,
    /// What buckets tell functions, to be written into the buckets when all resources are known.
    buckets: Vec<BucketEvent>,
    problems: Problems,
}

struct BucketEvent {
    /// The bucket's logical id.
    bucket: String,
    /// The permission's logical id.
    permission: String,
    /// Entries of the bucket's `LambdaConfigurations`.
    configurations: Vec<Document>,
    path: Path,
}

impl Expansion<'_> {
    /// The text of `value`, which may be a function of what is known; `None`, with a problem, where it is no text.
    fn text(&mut self, value: &Document, path: &Path) -> Result<Option<String>, Stop> {
        let text = self.scope.value(value, path)?.and_then(|value| value.scalar_text());
        if text.is_none() {
            self.wrong(path, "the value must be a string");
        }
        Ok(text)
    }

    fn wrong(&mut self, path: &Path, text: impl Into<String>) {
        self.problems.add(path.clone(), Fault::Format(text.into()));
    }

    fn unsupported(&mut self, path: &Path, what: impl Into<String>) {
        self.problems.add(path.clone(), Fault::Unsupported(what.into()));
    }

    fn add(&mut self, name: &str, resource: Document, path: &Path) {
        if self.resources.insert(name.to_owned(), resource).is_some() {
            self.wrong(path, format!("the name {name} of a generated resource is taken"));
        }
    }

    fn wire_buckets(&mut self) {
        for event in std::mem::take(&mut self.buckets) {
            let found = self.resources.get_mut(&event.bucket).and_then(|resource| match resource {
                Document::Map(members) => Some(members),
                _ => None,
            });
            let Some(members) = found else {
                let text =
                    format!("the event's Bucket must be a bucket of this template, and {} is none", event.bucket);
                self.wrong(&event.path, text);
                continue;
            };
            let mut properties = take_map(members, "Properties");
            let mut notifications = take_map(&mut properties, "NotificationConfiguration");
            let list = notifications.entry("LambdaConfigurations".to_owned()).or_insert(Document::List(Vec::new()));
            if let Document::List(list) = list {
                list.extend(event.configurations);
            }
            properties.insert("NotificationConfiguration".to_owned(), Document::Map(notifications));
            members.insert("Properties".to_owned(), Document::Map(properties));
            depend(members, &event.permission);
        }
    }
}

/// The map at `key`, taken out; empty where there is none.
fn take_map(map: &mut IndexMap<String, Document>, key: &str) -> IndexMap<String, Document> {
    match map.get_mut(key).map(std::mem::take) {
        Some(Document::Map(inner)) => inner,
        _ => IndexMap::new(),
    }
}

/// Adds `name` to what a resource waits for.
fn depend(members: &mut IndexMap<String, Document>, name: &str) {
    let mut list = match members.shift_remove("DependsOn") {
        Some(Document::List(list)) => list,
        Some(one) => vec![one],
        None => Vec::new(),
    };
    list.push(name.into());
    members.insert("DependsOn".to_owned(), Document::List(list));
}

fn reference(name: &str) -> Document {
    Document::map([("Ref", name.into())])
}

fn attribute(name: &str, attribute: &str) -> Document {
    Document::map([("Fn::GetAtt", Document::List(vec![name.into(), attribute.into()]))])
}

fn sub(text: impl Into<String>) -> Document {
    Document::map([("Fn::Sub", text.into().into())])
}

/// A resource with the attributes that generated resources take over from the one they are generated for.
fn resource(type_name: &str, properties: Document, source: &IndexMap<String, Document>) -> Document {
    let mut members = IndexMap::from([("Type".to_owned(), type_name.into())]);
    members.insert("Properties".to_owned(), properties);
    for name in ["Condition", "DeletionPolicy", "UpdateReplacePolicy"] {
        members.extend(source.get(name).map(|value| (name.to_owned(), value.clone())));
    }
    Document::Map(members)
}

/// Puts the logical ids of generated resources where templates use their SAM names.
fn rename(document: &mut Document, aliases: &IndexMap<String, String>) {
    match document {
        Document::Map(map) => {
            if let (1, Some(Document::String(name))) = (map.len(), map.get_mut("Ref"))
                && let Some(id) = aliases.get(name.as_str())
            {
                name.clone_from(id);
            }
            map.values_mut().for_each(|value| rename(value, aliases));
        }
        Document::List(list) => list.iter_mut().for_each(|value| rename(value, aliases)),
        _ => {}
    }
}

#[cfg(test)]
mod tests;
