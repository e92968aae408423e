//! Transforms: macros of AWS's that turn one tree into another before it is read as a template (CloudFormation Template
//! Reference, "Transform reference"). `language` is `AWS::LanguageExtensions`, `serverless` is
//! `AWS::Serverless-2016-10-31`; `scope` gives them the values that are known by then. Macros of one's own are not there.

mod language;
mod scope;
mod serverless;

use super::problem::{Fault, Path, Problems};
use super::{Pseudo, Source, Template, TemplateError, read};
use barge_core::Document;
use indexmap::IndexMap;
use scope::Scope;
use std::collections::BTreeMap;

pub(super) const LANGUAGE_EXTENSIONS: &str = "AWS::LanguageExtensions";
const SERVERLESS: &str = "AWS::Serverless-2016-10-31";

/// What transforms know.
#[derive(Clone, Debug, Default)]
pub struct Inputs {
    /// The values of a call for the template's parameters.
    pub given: BTreeMap<String, String>,
    /// The parameter store's values by name, for parameters that name one.
    pub stored: BTreeMap<String, String>,
    /// Pseudo parameters.
    pub pseudo: Pseudo,
}

/// A template after its transforms.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Processed {
    /// The template.
    pub template: Template,
    /// Its text, JSON, which reads as the same template without the inputs; `None` where there was nothing to transform,
    /// or where the inputs are not enough to do it.
    pub body: Option<String>,
}

/// Why a transform stopped.
enum Stop {
    /// It needs a parameter that has no value yet.
    Undecided,
    /// Its input is wrong.
    Wrong(Problems),
}

impl From<Problems> for Stop {
    fn from(problems: Problems) -> Self {
        Self::Wrong(problems)
    }
}

pub(super) fn process(text: &str, inputs: &Inputs) -> Result<Processed, TemplateError> {
    let mut source = Source::parse(text)?;
    let Some(declared) = source.root.get("Transform") else {
        return Ok(Processed { template: read::template(source)?, body: None });
    };
    let transforms = names(declared)?;
    match carry_out(&mut source.root, &transforms, inputs) {
        Ok(()) => {}
        Err(Stop::Undecided) => {
            let template = Template { warnings: source.warnings, transforms, ..read::declarations(&source.root) };
            let outline = Template { conditions: IndexMap::new(), ..template };
            return Ok(Processed { template: outline, body: None });
        }
        Err(Stop::Wrong(problems)) => return Err(problems.into()),
    }
    let body = Some(source.root.to_json());
    let template = Template { transforms, ..read::template(source)? };
    Ok(Processed { template, body })
}

fn names(declared: &Document) -> Result<Vec<String>, Problems> {
    let path = Path::of(&["Transform"]);
    let mut problems = Problems::default();
    let listed = match declared {
        Document::List(list) => list.clone(),
        one => vec![one.clone()],
    };
    let mut names = Vec::new();
    for entry in listed {
        match entry.as_str() {
            Some(name @ (LANGUAGE_EXTENSIONS | SERVERLESS)) => names.push(name.to_owned()),
            Some(name) if name.starts_with("AWS::") => {
                problems.add(path.clone(), Fault::Unsupported(format!("the transform {name}")));
            }
            Some(name) => problems.add(path.clone(), Fault::Parameter(format!("No transform named {name} found."))),
            None => {
                let name = entry.get("Name").and_then(Document::as_str).unwrap_or("without a name");
                problems.add(path.clone(), Fault::Unsupported(format!("the transform {name} with parameters")));
            }
        }
    }
    problems.into_result()?;
    Ok(names)
}

fn carry_out(root: &mut Document, transforms: &[String], inputs: &Inputs) -> Result<(), Stop> {
    for name in transforms {
        match name.as_str() {
            LANGUAGE_EXTENSIONS => language::expand(root, inputs)?,
            _ => serverless::expand(root, inputs)?,
        }
    }
    // What is left to do for the language extensions is done when values are evaluated.
    if let Document::Map(sections) = root {
        sections.shift_remove("Transform");
        if transforms.iter().any(|name| name == LANGUAGE_EXTENSIONS) {
            sections.insert("Transform".to_owned(), LANGUAGE_EXTENSIONS.into());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn transforms_that_are_not_there_are_refused_by_name() {
        for (declared, part) in [
            ("Mine", "No transform named Mine found."),
            ("AWS::Include", "Barge does not support the transform AWS::Include"),
            ("[AWS::Serverless-2016-10-31, Mine]", "No transform named Mine found."),
            ("{Name: 'AWS::Include', Parameters: {Location: x}}", "the transform AWS::Include with parameters"),
        ] {
            let text = format!("Transform: {declared}\nResources: {{R: {{Type: X}}}}");
            let found = Template::parse(&text).unwrap_err().to_string();
            assert!(found.contains(part), "{declared}: {found}");
        }
    }

    #[test]
    fn what_was_processed_reads_as_the_same_template_without_the_inputs() {
        let text = "Transform: [AWS::LanguageExtensions, AWS::Serverless-2016-10-31]\n\
                    Parameters: {Names: {Type: CommaDelimitedList}}\n\
                    Resources:\n\
                    \x20 Fn::ForEach::All:\n\
                    \x20   - Name\n\
                    \x20   - !Ref Names\n\
                    \x20   - 'T${Name}': {Type: X, Properties: {P: !Length [a, b]}}\n";
        let undecided = Template::parse(text).unwrap();
        assert_eq!((undecided.resources.len(), undecided.parameters.len(), undecided.transforms.len()), (0, 1, 2));
        let inputs = Inputs { given: [("Names".to_owned(), "a,b".to_owned())].into(), ..Inputs::default() };
        let processed = Template::process(text, &inputs).unwrap();
        let again = Template::parse(processed.body.as_deref().unwrap()).unwrap();
        assert_eq!(again.resources, processed.template.resources);
        assert_eq!(again.resources.keys().collect::<Vec<_>>(), ["Ta", "Tb"]);
    }
}
