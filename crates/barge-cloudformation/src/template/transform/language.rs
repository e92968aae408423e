//! `AWS::LanguageExtensions`, as far as it must be done before a template is read: `Fn::ForEach`, functions in `Ref`,
//! `Fn::GetAtt`, `DeletionPolicy` and `UpdateReplacePolicy`. (`Fn::Length`, `Fn::ToJsonString` and `Fn::FindInMap` with a
//! default are expressions like others.)

use super::super::problem::{Fault, Path, Problems};
use super::{Inputs, Scope, Stop};
use barge_core::Document;
use indexmap::IndexMap;
use std::collections::BTreeSet;

const LOOP: &str = "Fn::ForEach::";

/// What loops may make, in values: loops within loops could otherwise fill any memory.
const MOST_VALUES: usize = 500_000;

/// How deep loops nest (CloudFormation Template Reference, "Fn::ForEach").
const DEEPEST_LOOP: usize = 5;

/// Expands `root` in place.
pub(super) fn expand(root: &mut Document, inputs: &Inputs) -> Result<(), Stop> {
    // Conditions come first: a condition may decide what a collection is.
    for section in [&["Conditions"][..], &["Resources", "Outputs"]] {
        let scope = Scope::of(root, inputs);
        let Document::Map(sections) = root else { continue };
        let mut expansion = Expansion {
            scope: &scope,
            loops: BTreeSet::new(),
            left: MOST_VALUES,
            depth: 0,
            problems: Problems::default(),
        };
        for name in section {
            if let Some(content) = sections.get_mut(*name) {
                let path = Path::of(&[name]);
                *content = expansion.document(std::mem::take(content), &path, &[])?;
            }
        }
        expansion.problems.into_result()?;
    }
    let scope = Scope::of(root, inputs);
    let Document::Map(sections) = root else { return Ok(()) };
    match sections.get_mut("Resources") {
        Some(Document::Map(resources)) => policies(resources, &scope),
        _ => Ok(()),
    }
}

/// Gives the resources the policies that their functions stand for.
fn policies(resources: &mut IndexMap<String, Document>, scope: &Scope<'_>) -> Result<(), Stop> {
    for (name, resource) in resources {
        let Document::Map(members) = resource else { continue };
        for attribute in ["DeletionPolicy", "UpdateReplacePolicy"] {
            if let Some(value @ Document::Map(_)) = members.get_mut(attribute) {
                let path = Path::of(&["Resources", name, attribute]);
                *value = scope.value(value, &path)?.unwrap_or_default();
            }
        }
    }
    Ok(())
}

/// A loop's variable and its value in this round.
#[derive(Clone)]
struct Variable {
    name: String,
    value: String,
}

struct Expansion<'a> {
    scope: &'a Scope<'a>,
    loops: BTreeSet<String>,
    left: usize,
    depth: usize,
    problems: Problems,
}

impl Expansion<'_> {
    fn wrong<T: Default>(&mut self, path: &Path, text: impl Into<String>) -> T {
        self.problems.add(path.clone(), Fault::Function(text.into()));
        T::default()
    }

    fn stop(path: &Path, text: &str) -> Stop {
        let mut problems = Problems::default();
        problems.add(path.clone(), Fault::Function(text.to_owned()));
        Stop::Wrong(problems)
    }

    /// `document` with loops unrolled and the variables of the loops around it filled in.
    fn document(&mut self, document: Document, path: &Path, variables: &[Variable]) -> Result<Document, Stop> {
        self.left = self
            .left
            .checked_sub(1)
            .ok_or_else(|| Self::stop(path, "Fn::ForEach makes more than a template can hold"))?;
        match document {
            Document::Map(map) => self.map(map, path, variables),
            Document::List(list) => {
                let entries = list.into_iter().enumerate();
                let filled = entries.map(|(i, entry)| self.document(entry, &path.at(i), variables));
                Ok(Document::List(filled.collect::<Result<_, _>>()?))
            }
            Document::String(text) => Ok(filled(&text, variables).into()),
            scalar => Ok(scalar),
        }
    }

    fn map(&mut self, map: IndexMap<String, Document>, path: &Path, variables: &[Variable]) -> Result<Document, Stop> {
        if let Some(value) = round_value(&map, variables) {
            return Ok(value);
        }
        let mut result = IndexMap::with_capacity(map.len());
        for (key, value) in map {
            let place = path.at(&key);
            if let Some(name) = key.strip_prefix(LOOP) {
                self.unroll(name, value, &place, variables, &mut result)?;
                continue;
            }
            let key = filled(&key, variables);
            let value = self.document(value, &place, variables)?;
            let value = self.named(&key, value, &place)?;
            self.insert(&mut result, key, value, &place);
        }
        Ok(Document::Map(result))
    }

    fn insert(&mut self, into: &mut IndexMap<String, Document>, key: String, value: Document, path: &Path) {
        if into.contains_key(&key) {
            return self.wrong(path, format!("Fn::ForEach makes the key {key} twice"));
        }
        into.insert(key, value);
    }

    /// Names that a function may give here and nowhere else.
    fn named(&mut self, key: &str, value: Document, path: &Path) -> Result<Document, Stop> {
        match (key, value) {
            ("Ref", value @ Document::Map(_)) => Ok(self.scope.value(&value, path)?.unwrap_or_default()),
            ("Fn::GetAtt", Document::List(parts)) => {
                let resolved = parts.into_iter().enumerate().map(|(i, part)| match part {
                    part @ Document::Map(_) => Ok(self.scope.value(&part, &path.at(i))?.unwrap_or_default()),
                    part => Ok(part),
                });
                Ok(Document::List(resolved.collect::<Result<_, Stop>>()?))
            }
            (_, value) => Ok(value),
        }
    }

    /// Carries out the loop called `name` and puts what it makes into `into`.
    fn unroll(
        &mut self,
        name: &str,
        argument: Document,
        path: &Path,
        variables: &[Variable],
        into: &mut IndexMap<String, Document>,
    ) -> Result<(), Stop> {
        if self.depth == DEEPEST_LOOP {
            return Err(Self::stop(path, "Fn::ForEach can be nested at most 5 times"));
        }
        // A loop within a loop is met in every round.
        if self.depth == 0 && !self.loops.insert(name.to_owned()) {
            self.wrong::<()>(path, format!("the name {name} of Fn::ForEach is used twice"));
        }
        let (variable, collection, fragment) = match parts(argument, variables) {
            Ok(parts) => parts,
            Err(text) => {
                self.wrong::<()>(path, text);
                return Ok(());
            }
        };
        let collection = self.document(collection, &path.at(1), variables)?;
        for value in self.entries(&collection, &path.at(1))? {
            let mut inner = variables.to_vec();
            inner.push(Variable { name: variable.clone(), value });
            self.depth += 1;
            let made = self.document(Document::Map(fragment.clone()), &path.at(2), &inner);
            self.depth -= 1;
            if let Document::Map(made) = made? {
                for (key, value) in made {
                    self.insert(into, key, value, path);
                }
            }
        }
        Ok(())
    }

    fn entries(&mut self, collection: &Document, path: &Path) -> Result<Vec<String>, Stop> {
        let value = self.scope.value(collection, path)?;
        let Some(Document::List(list)) = value else {
            return Ok(self.wrong(path, "the collection of Fn::ForEach must be a list"));
        };
        let mut entries = Vec::with_capacity(list.len());
        for entry in list {
            match (entry.scalar_text(), entry) {
                (Some(text), _) => entries.push(text),
                // A list in the collection stands for its entries.
                (None, Document::List(inner)) => entries.extend(inner.iter().filter_map(Document::scalar_text)),
                _ => return Ok(self.wrong(path, "the collection of Fn::ForEach must be a list of strings")),
            }
        }
        Ok(entries)
    }
}

/// A loop's variable, collection and fragment; what is wrong where it has not all of them.
fn parts(argument: Document, outer: &[Variable]) -> Result<(String, Document, IndexMap<String, Document>), String> {
    let Document::List(parts) = argument else { return Err(RULE.to_owned()) };
    let Ok([Document::String(variable), collection, Document::Map(fragment)]) = <[Document; 3]>::try_from(parts) else {
        return Err(RULE.to_owned());
    };
    if outer.iter().any(|outer| outer.name == variable) {
        return Err(format!("the identifier {variable} of Fn::ForEach is that of a loop around it"));
    }
    let forms = [format!("${{{variable}}}"), format!("&{{{variable}}}")];
    let mentions = |key: &String| key.starts_with(LOOP) || forms.iter().any(|form| key.contains(form));
    match fragment.keys().find(|key| !mentions(key)) {
        Some(key) => Err(format!("the key {key} of Fn::ForEach must contain ${{{variable}}}")),
        None => Ok((variable, collection, fragment)),
    }
}

const RULE: &str = "every Fn::ForEach object requires three parameters, an identifier, a collection and an object";

/// What `{"Ref": "Variable"}` stands for.
fn round_value(map: &IndexMap<String, Document>, variables: &[Variable]) -> Option<Document> {
    if map.len() != 1 {
        return None;
    }
    let name = map.get("Ref")?.as_str()?;
    variables.iter().find(|variable| variable.name == name).map(|variable| variable.value.as_str().into())
}

/// `text` with `${Variable}` as the value and `&{Variable}` as the value's letters and digits.
fn filled(text: &str, variables: &[Variable]) -> String {
    let mut text = text.to_owned();
    for Variable { name, value } in variables {
        if text.contains(name.as_str()) {
            let plain: String = value.chars().filter(char::is_ascii_alphanumeric).collect();
            text = text.replace(&format!("${{{name}}}"), value).replace(&format!("&{{{name}}}"), &plain);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::super::super::{RemovalPolicy, Template};
    use super::*;

    const HEAD: &str = "Transform: AWS::LanguageExtensions\n\
                        Parameters: {Names: {Type: CommaDelimitedList, Default: 'a-1,b-2'}, Keep: {Type: String, Default: Retain}}\n\
                        Mappings: {M: {x: {list: [p, q]}}}\n\
                        Conditions: {Is: !Equals [a, a]}\n";

    fn expanded(text: &str) -> Result<String, String> {
        let processed =
            Template::process(&format!("{HEAD}{text}"), &Inputs::default()).map_err(|error| error.to_string())?;
        let body = Document::from_json(processed.body.unwrap_or_default().as_bytes()).unwrap();
        Ok(body.get("Resources").unwrap().to_json())
    }

    #[test]
    fn loops_make_a_copy_for_each_entry() {
        for (resources, expected) in [
            ("Fn::ForEach::L: [N, [a, b], {'R${N}': {Type: X}}]", r#"{"Ra":{"Type":"X"},"Rb":{"Type":"X"}}"#),
            (
                "Fn::ForEach::L: [N, !Ref Names, {'R&{N}': {Type: X, Properties: {P: !Ref N, Q: 'v${N}'}}}]",
                r#"{"Ra1":{"Type":"X","Properties":{"P":"a-1","Q":"va-1"}},"Rb2":{"Type":"X","Properties":{"P":"b-2","Q":"vb-2"}}}"#,
            ),
            (
                "Fn::ForEach::L: [N, !FindInMap [M, x, list], {'R${N}': {Type: X}}]",
                r#"{"Rp":{"Type":"X"},"Rq":{"Type":"X"}}"#,
            ),
            (
                "Fn::ForEach::L: [N, [a], {'Fn::ForEach::I': [K, [1, 2], {'R${N}${K}': {Type: X}}]}]",
                r#"{"Ra1":{"Type":"X"},"Ra2":{"Type":"X"}}"#,
            ),
            (
                "R: {Type: X, Properties: {'Fn::ForEach::P': [N, [a, b], {'k${N}': '${N}'}]}}",
                r#"{"R":{"Type":"X","Properties":{"ka":"a","kb":"b"}}}"#,
            ),
            (
                "R: {Type: X}\n  S: {Type: X, Properties: {P: {Ref: !Select [0, [R, x]]}, Q: {'Fn::GetAtt': [!Join ['', [R]], Arn]}}}",
                r#"{"R":{"Type":"X"},"S":{"Type":"X","Properties":{"P":{"Ref":"R"},"Q":{"Fn::GetAtt":["R","Arn"]}}}}"#,
            ),
        ] {
            assert_eq!(expanded(&format!("Resources:\n  {resources}\n")).as_deref(), Ok(expected), "{resources}");
        }
    }

    #[test]
    fn policies_may_be_functions() {
        let text = format!(
            "{HEAD}Resources: {{R: {{Type: X, DeletionPolicy: !Ref Keep, UpdateReplacePolicy: !If [Is, Retain, Delete]}}}}"
        );
        let resource = &Template::parse(&text).unwrap().resources["R"];
        assert_eq!(
            (resource.deletion_policy, resource.update_replace_policy),
            (RemovalPolicy::Retain, RemovalPolicy::Retain)
        );
    }

    #[test]
    fn wrong_loops_are_named() {
        for (resources, part) in [
            ("Fn::ForEach::L: [N, [a]]", "every Fn::ForEach object requires three parameters"),
            ("Fn::ForEach::L: [N, x, {'R${N}': {Type: X}}]", "must be a list (at /Resources/Fn::ForEach::L/1)"),
            ("Fn::ForEach::L: [N, [a, b], {R: {Type: X}}]", "the key R of Fn::ForEach must contain ${N}"),
            ("Fn::ForEach::L: [N, [a, a], {'R${N}': {Type: X}}]", "makes the key Ra twice"),
            ("Fn::ForEach::L: [N, !GetAtt Ra.List, {'R${N}': {Type: X}}]", "only parameters, mappings and conditions"),
        ] {
            let found = expanded(&format!("Resources:\n  {resources}\n")).unwrap_err();
            assert!(found.contains(part), "{resources}: {found}");
        }
    }

    #[test]
    fn loops_that_would_fill_the_memory_are_refused() {
        let entries = (0..100).map(|n| n.to_string()).collect::<Vec<_>>().join(", ");
        let mut inner = "{'R${A}${B}${C}${D}': {Type: X}}".to_owned();
        for name in ["D", "C", "B", "A"] {
            inner = format!("{{'Fn::ForEach::{name}': [{name}, [{entries}], {inner}]}}");
        }
        assert!(expanded(&format!("Resources: {inner}\n")).unwrap_err().contains("more than a template can hold"));
    }
}
