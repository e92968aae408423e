//! What is wrong with a template: each problem with its place, and all of them as one message in AWS's words.
//! Finding them happens elsewhere.

use std::fmt::{self, Write as _};

/// A place in a template: keys and list indices from the root, shown as `/Resources/Queue/Properties/Priority`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Path(Vec<String>);

impl Path {
    /// The place made of `parts`.
    pub fn of(parts: &[&str]) -> Self {
        Self(parts.iter().map(|&part| part.to_owned()).collect())
    }

    /// The place `part` within this one.
    #[must_use]
    pub fn at(&self, part: impl fmt::Display) -> Self {
        let mut parts = self.0.clone();
        parts.push(part.to_string());
        Self(parts)
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|part| write!(f, "/{part}"))
    }
}

/// The section that holds a reference.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Block {
    /// `Resources`.
    Resources,
    /// `Outputs`.
    Outputs,
}

/// What is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The template's form: a section, a member, a type.
    Format(String),
    /// A function's arguments, or what it refers to.
    Function(String),
    /// A resource type without a provider.
    UnrecognizedType(String),
    /// A reference to what the template does not declare, or does not make under its conditions.
    Unresolved {
        /// The name referred to.
        name: String,
        /// Where it is referred to.
        block: Block,
    },
    /// Resources that wait for each other.
    Cycle(Vec<String>),
    /// A resource's properties do not fit its type; `message` begins with a JSON pointer, `#/Priority: …`.
    Property {
        /// The resource's logical id.
        resource: String,
        /// What does not fit.
        message: String,
    },
    /// A parameter's value.
    Parameter(String),
    /// AWS has it and Barge does not; named so that nobody waits for its effect.
    Unsupported(String),
}

/// One problem.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Where.
    pub path: Path,
    /// What.
    pub fault: Fault,
}

/// Everything found wrong, in the order found; beyond [`Problems::MOST`] only their number.
#[derive(Clone, Debug, Default, PartialEq, Eq, thiserror::Error)]
pub struct Problems {
    found: Vec<Problem>,
    more: usize,
}

impl Problems {
    /// How many are kept: nobody reads on, and a template made to be wrong would fill an answer without end.
    pub const MOST: usize = 100;

    /// Adds one.
    pub fn add(&mut self, path: Path, fault: Fault) {
        if self.found.len() == Self::MOST {
            self.more += 1;
            return;
        }
        let problem = Problem { path, fault };
        if !self.found.contains(&problem) {
            self.found.push(problem);
        }
    }

    /// Adds all of `others`.
    pub fn extend(&mut self, others: Self) {
        for problem in others.found {
            self.add(problem.path, problem.fault);
        }
        self.more += others.more;
    }

    /// The problems.
    pub fn iter(&self) -> impl Iterator<Item = &Problem> {
        self.found.iter()
    }

    /// `Err(self)` where there is any problem.
    pub fn into_result(self) -> Result<(), Self> {
        if self.found.is_empty() { Ok(()) } else { Err(self) }
    }

    fn listed(&self, pick: impl Fn(&Fault) -> Option<&String>) -> Option<(String, String)> {
        let (mut names, mut places) = (Vec::new(), Vec::new());
        for problem in &self.found {
            if let Some(name) = pick(&problem.fault) {
                if !names.contains(name) {
                    names.push(name.clone());
                }
                places.push(problem.path.to_string());
            }
        }
        (!names.is_empty()).then(|| (names.join(", "), places.join(", ")))
    }

    fn messages(&self) -> Vec<String> {
        let mut messages = Vec::new();
        if let Some((types, places)) = self.listed(|fault| match fault {
            Fault::UnrecognizedType(name) => Some(name),
            _ => None,
        }) {
            messages.push(format!("Template format error: Unrecognized resource types: [{types}] (at {places})"));
        }
        for block in [Block::Resources, Block::Outputs] {
            if let Some((names, places)) = self.listed(|fault| match fault {
                Fault::Unresolved { name, block: within } if *within == block => Some(name),
                _ => None,
            }) {
                messages.push(format!(
                    "Template format error: Unresolved resource dependencies [{names}] in the {block:?} block of the \
                     template (at {places})"
                ));
            }
        }
        for Problem { path, fault } in &self.found {
            let at = if path.0.is_empty() { String::new() } else { format!(" (at {path})") };
            match fault {
                Fault::Format(text) => messages.push(format!("Template format error: {text}{at}")),
                Fault::Function(text) => messages.push(format!("Template error: {text}{at}")),
                Fault::Cycle(names) => {
                    messages.push(format!("Circular dependency between resources: [{}]", names.join(", ")));
                }
                Fault::Parameter(text) => messages.push(text.clone()),
                Fault::Unsupported(what) => {
                    messages.push(format!("Template validation error: Barge does not support {what}{at}"));
                }
                Fault::UnrecognizedType(_) | Fault::Unresolved { .. } | Fault::Property { .. } => {}
            }
        }
        messages.extend(self.property_messages());
        if self.more > 0 {
            messages.push(format!("and {} more problems", self.more));
        }
        messages
    }

    /// One message for each resource, in the words of CloudFormation's own schema check.
    fn property_messages(&self) -> Vec<String> {
        let mut by_resource = indexmap::IndexMap::<&str, Vec<&str>>::new();
        for problem in &self.found {
            if let Fault::Property { resource, message } = &problem.fault {
                by_resource.entry(resource).or_default().push(message);
            }
        }
        by_resource
            .into_iter()
            .map(|(resource, texts)| {
                format!(
                    "Template validation error: Properties validation failed for resource {resource} with message: {}",
                    texts.join("; ")
                )
            })
            .collect()
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, message) in self.messages().iter().enumerate() {
            if index > 0 {
                f.write_char('\n')?;
            }
            f.write_str(message)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_one_kind_share_a_message() {
        let mut problems = Problems::default();
        for (resource, kind) in [("A", "X::Y"), ("B", "X::Z"), ("C", "X::Y")] {
            problems.add(Path::of(&["Resources", resource, "Type"]), Fault::UnrecognizedType(kind.into()));
        }
        problems.add(
            Path::of(&["Outputs", "O", "Value"]),
            Fault::Unresolved { name: "Gone".into(), block: Block::Outputs },
        );
        assert_eq!(
            problems.to_string(),
            "Template format error: Unrecognized resource types: [X::Y, X::Z] \
             (at /Resources/A/Type, /Resources/B/Type, /Resources/C/Type)\n\
             Template format error: Unresolved resource dependencies [Gone] in the Outputs block of the template \
             (at /Outputs/O/Value)"
        );
    }

    #[test]
    fn past_a_bound_problems_are_only_counted() {
        let mut problems = Problems::default();
        for number in 0..250 {
            problems.add(Path::default(), Fault::Parameter(number.to_string()));
        }
        assert_eq!(problems.iter().count(), Problems::MOST);
        assert!(problems.to_string().ends_with("\n99\nand 150 more problems"));
    }

    #[test]
    fn properties_are_grouped_by_resource() {
        let mut problems = Problems::default();
        for message in ["#: required key [A] not found", "#/B: expected type: Integer, found: String"] {
            let fault = Fault::Property { resource: "Q".into(), message: message.into() };
            problems.add(Path::of(&["Resources", "Q", "Properties"]), fault);
        }
        assert_eq!(
            problems.to_string(),
            "Template validation error: Properties validation failed for resource Q with message: \
             #: required key [A] not found; #/B: expected type: Integer, found: String"
        );
    }
}
