//! Rules: assertions about parameters that must hold before anything is made (CloudFormation User Guide, "CloudFormation
//! template Rules syntax"; Template Reference, "Rule functions"). Reading them and finding those that fail.
//!
//! The functions that look at the account's networks (`Fn::RefAll`, `Fn::ValueOf`, `Fn::ValueOfAll`) are refused by name.

use super::evaluate::{Environment, EvalError};
use super::expression::{Dialect, Expression, Reader, is_pseudo};
use super::graph::{Branches, targets, walk};
use super::problem::{Fault, Path, Problems};
use barge_core::Document;
use indexmap::IndexMap;

/// One rule.
#[derive(Clone, Debug, PartialEq)]
pub struct Rule {
    /// When the assertions count; always where there is none.
    pub condition: Option<Test>,
    /// What must hold.
    pub assertions: Vec<Assertion>,
}

/// One assertion of a rule.
#[derive(Clone, Debug, PartialEq)]
pub struct Assertion {
    /// What must hold.
    pub test: Test,
    /// `AssertDescription`: what people are told where it does not.
    pub description: Option<String>,
}

/// What is true or false.
#[derive(Clone, Debug, PartialEq)]
pub enum Test {
    /// `Fn::And`.
    And(Vec<Test>),
    /// `Fn::Or`.
    Or(Vec<Test>),
    /// `Fn::Not`.
    Not(Box<Test>),
    /// `Fn::Equals`.
    Equals(Expression, Expression),
    /// `Fn::Contains`: the list has the value.
    Contains(Expression, Expression),
    /// `Fn::EachMemberEquals`: every entry of the list is the value.
    EachMemberEquals(Expression, Expression),
    /// `Fn::EachMemberIn`: every entry of the first list is in the second.
    EachMemberIn(Expression, Expression),
}

/// Reads the rule at `path`; `None`, with problems, where it is none.
pub(super) fn read(rule: &Document, path: &Path, dialect: Dialect, problems: &mut Problems) -> Option<Rule> {
    let Document::Map(members) = rule else {
        problems.add(path.clone(), Fault::Format("Every Rules member must be an object.".to_owned()));
        return None;
    };
    let mut reader = Tests { problems, dialect };
    for name in members.keys().filter(|name| !["RuleCondition", "Assertions"].contains(&name.as_str())) {
        reader.wrong(&path.at(name), format!("Invalid rule property '{name}'"));
    }
    let condition = members.get("RuleCondition").and_then(|test| reader.test(test, &path.at("RuleCondition")));
    let path = path.at("Assertions");
    let Some(Document::List(list)) = members.get("Assertions") else {
        reader.wrong(&path, "Every rule must contain a list of Assertions.".to_owned());
        return None;
    };
    let assertions =
        list.iter().enumerate().filter_map(|(i, assertion)| reader.assertion(assertion, &path.at(i))).collect();
    Some(Rule { condition, assertions })
}

struct Tests<'a> {
    problems: &'a mut Problems,
    dialect: Dialect,
}

impl Tests<'_> {
    fn wrong(&mut self, path: &Path, text: String) {
        self.problems.add(path.clone(), Fault::Format(text));
    }

    fn assertion(&mut self, assertion: &Document, path: &Path) -> Option<Assertion> {
        let test = assertion.get("Assert");
        let known = |members: &IndexMap<String, Document>| {
            members.keys().all(|name| ["Assert", "AssertDescription"].contains(&name.as_str()))
        };
        let (Some(test), true) = (test, assertion.as_map().is_some_and(known)) else {
            self.wrong(
                path,
                "Every assertion is an object of an Assert and, optionally, an AssertDescription.".to_owned(),
            );
            return None;
        };
        let description = assertion.get("AssertDescription").and_then(Document::scalar_text);
        Some(Assertion { test: self.test(test, &path.at("Assert"))?, description })
    }

    fn test(&mut self, tree: &Document, path: &Path) -> Option<Test> {
        let Some((name, argument)) = tree.as_map().filter(|map| map.len() == 1).and_then(IndexMap::first) else {
            self.wrong(path, "a rule's condition or assertion must be one rule function".to_owned());
            return None;
        };
        let path = &path.at(name);
        match (name.as_str(), argument.as_list()) {
            ("Fn::Not", Some([inner])) => Some(Test::Not(Box::new(self.test(inner, &path.at(0))?))),
            ("Fn::And", Some(list)) if (2..=10).contains(&list.len()) => Some(Test::And(self.tests(list, path)?)),
            ("Fn::Or", Some(list)) if (2..=10).contains(&list.len()) => Some(Test::Or(self.tests(list, path)?)),
            ("Fn::Equals", Some([left, right])) => self.pair(left, right, path).map(|(l, r)| Test::Equals(l, r)),
            ("Fn::Contains", Some([list, value])) => self.pair(list, value, path).map(|(l, v)| Test::Contains(l, v)),
            ("Fn::EachMemberEquals", Some([list, value])) => {
                self.pair(list, value, path).map(|(l, v)| Test::EachMemberEquals(l, v))
            }
            ("Fn::EachMemberIn", Some([members, list])) => {
                self.pair(members, list, path).map(|(m, l)| Test::EachMemberIn(m, l))
            }
            ("Fn::And" | "Fn::Or", _) => {
                let text =
                    format!("every {name} object requires a list of at least 2 and at most 10 boolean parameters.");
                self.problems.add(path.clone(), Fault::Function(text));
                None
            }
            ("Fn::Not" | "Fn::Equals" | "Fn::Contains" | "Fn::EachMemberEquals" | "Fn::EachMemberIn", _) => {
                let text = format!("{name} in a rule has the wrong arguments");
                self.problems.add(path.clone(), Fault::Function(text));
                None
            }
            _ => {
                self.problems.add(path.clone(), Fault::Function(format!("{name} is not a rule function")));
                None
            }
        }
    }

    fn tests(&mut self, list: &[Document], path: &Path) -> Option<Vec<Test>> {
        let tests: Vec<_> = list.iter().enumerate().map(|(i, inner)| self.test(inner, &path.at(i))).collect();
        tests.into_iter().collect()
    }

    fn pair(&mut self, left: &Document, right: &Document, path: &Path) -> Option<(Expression, Expression)> {
        let (left, right) = (self.operand(left, &path.at(0)), self.operand(right, &path.at(1)));
        Some((left?, right?))
    }

    /// Reads what a test compares: literals and parameters.
    fn operand(&mut self, value: &Document, path: &Path) -> Option<Expression> {
        if let Some((name, _)) = value.as_map().and_then(IndexMap::first)
            && ["Fn::RefAll", "Fn::ValueOf", "Fn::ValueOfAll"].contains(&name.as_str())
        {
            let what = format!("{name}, which looks at the account's networks");
            self.problems.add(path.at(name), Fault::Unsupported(what));
            return None;
        }
        Some(Reader { problems: self.problems, dialect: self.dialect }.expression(value, path))
    }
}

/// Every value that a rule compares.
fn operands<'r>(test: &'r Test, visit: &mut dyn FnMut(&'r Expression)) {
    match test {
        Test::And(list) | Test::Or(list) => list.iter().for_each(|inner| operands(inner, visit)),
        Test::Not(inner) => operands(inner, visit),
        Test::Equals(left, right)
        | Test::Contains(left, right)
        | Test::EachMemberEquals(left, right)
        | Test::EachMemberIn(left, right) => {
            visit(left);
            visit(right);
        }
    }
}

/// What the rules refer to that is no parameter.
pub(super) fn analyse(rules: &IndexMap<String, Rule>, is_parameter: impl Fn(&str) -> bool) -> Problems {
    let mut problems = Problems::default();
    for (name, rule) in rules {
        let path = Path::of(&["Rules", name]);
        let mut visit = |operand: &Expression| {
            walk(operand, &path, Branches::All, &mut |inner, path| {
                for (target, attribute) in targets(inner) {
                    if attribute.is_some() || !(is_pseudo(target) || is_parameter(target)) {
                        let text = format!("Rules may refer to parameters only, and {target} is none");
                        problems.add(path.clone(), Fault::Format(text));
                    }
                }
            });
        };
        let assertions = rule.assertions.iter().map(|assertion| &assertion.test);
        rule.condition.iter().chain(assertions).for_each(|test| operands(test, &mut visit));
    }
    problems
}

/// The assertions that fail under the environment's parameters. What is not known yet is not looked at.
pub(super) fn check(environment: &Environment<'_>) -> Problems {
    let mut problems = Problems::default();
    for (name, rule) in &environment.template.rules {
        match rule.condition.as_ref().map(|test| environment.passes(test)) {
            None | Some(Ok(true)) => {}
            Some(Ok(false) | Err(EvalError::Unknown)) => continue,
            Some(Err(error)) => {
                problems.add(Path::of(&["Rules", name, "RuleCondition"]), Fault::Function(error.to_string()));
                continue;
            }
        }
        for (index, assertion) in rule.assertions.iter().enumerate() {
            let path = Path::of(&["Rules", name, "Assertions"]).at(index);
            match environment.passes(&assertion.test) {
                Ok(true) | Err(EvalError::Unknown) => {}
                Ok(false) => {
                    let why = assertion.description.as_deref().unwrap_or("an assertion does not hold");
                    problems.add(path, Fault::Function(format!("Rule {name} failed: {why}")));
                }
                Err(error) => problems.add(path, Fault::Function(error.to_string())),
            }
        }
    }
    problems
}

impl Environment<'_> {
    fn passes(&self, test: &Test) -> Result<bool, EvalError> {
        match test {
            Test::And(list) => list.iter().map(|inner| self.passes(inner)).try_fold(true, |all, one| Ok(all && one?)),
            Test::Or(list) => list.iter().map(|inner| self.passes(inner)).try_fold(false, |any, one| Ok(any || one?)),
            Test::Not(inner) => Ok(!self.passes(inner)?),
            Test::Equals(left, right) => Ok(self.side(left)? == self.side(right)?),
            Test::Contains(list, value) => {
                let value = self.side(value)?;
                Ok(self.entries(list)?.contains(&value))
            }
            Test::EachMemberEquals(list, value) => {
                let value = self.side(value)?;
                Ok(self.entries(list)?.iter().all(|entry| *entry == value))
            }
            Test::EachMemberIn(members, list) => {
                let list = self.entries(list)?;
                Ok(self.entries(members)?.iter().all(|member| list.contains(member)))
            }
        }
    }

    fn side(&self, expression: &Expression) -> Result<String, EvalError> {
        Ok(self.value(expression)?.as_ref().map(comparable).unwrap_or_default())
    }

    fn entries(&self, expression: &Expression) -> Result<Vec<String>, EvalError> {
        Ok(match self.value(expression)? {
            Some(Document::List(list)) => list.iter().map(comparable).collect(),
            Some(scalar) => vec![comparable(&scalar)],
            None => Vec::new(),
        })
    }
}

fn comparable(value: &Document) -> String {
    value.scalar_text().unwrap_or_else(|| value.to_json())
}

#[cfg(test)]
mod tests {
    use super::super::{Budget, Pseudo, Template, TemplateError, bind};
    use super::*;
    use std::collections::BTreeMap;

    fn outcome(rules: &str, given: &[(&str, &str)]) -> String {
        let text = format!(
            "Parameters: {{Env: {{Type: String}}, Zones: {{Type: CommaDelimitedList, Default: 'a,b'}}}}\n\
             Rules: {rules}\nResources: {{R: {{Type: X}}}}"
        );
        let template = match Template::parse(&text) {
            Ok(template) => template,
            Err(TemplateError::Problems(problems)) => return problems.to_string(),
            Err(other) => panic!("{other}"),
        };
        let given = given.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        let bound = bind(&template.parameters, &given).unwrap_or_default();
        let parameters: BTreeMap<String, Document> = bound.into_iter().map(|(k, v)| (k, v.value)).collect();
        let (none, nothing, pseudo, budget) = (BTreeMap::new(), BTreeMap::new(), Pseudo::default(), Budget::default());
        let environment = Environment {
            template: &template,
            parameters: &parameters,
            conditions: &none,
            pseudo: &pseudo,
            resources: &nothing,
            exports: None,
            budget: &budget,
        };
        let mut problems = analyse(&template.rules, |name| template.parameters.contains_key(name));
        problems.extend(check(&environment));
        problems.to_string()
    }

    #[test]
    fn assertions_hold_or_are_told() {
        for (test, expected) in [
            ("!Equals [!Ref Env, prod]", ""),
            ("!Equals [!Ref Env, dev]", "Template error: Rule R failed: told (at /Rules/R/Assertions/0)"),
            ("!Not [!Equals [!Ref Env, dev]]", ""),
            ("!Contains [[prod, test], !Ref Env]", ""),
            ("!Contains [!Ref Zones, c]", "Rule R failed: told"),
            ("!EachMemberIn [!Ref Zones, [a, b, c]]", ""),
            ("!EachMemberIn [!Ref Zones, [a]]", "Rule R failed: told"),
            ("!EachMemberEquals [[x, x], x]", ""),
            ("!EachMemberEquals [!Ref Zones, a]", "Rule R failed: told"),
            ("!And [!Equals [a, a], !Equals [1, '1']]", ""),
            ("!Or [!Equals [a, b], !Equals [a, a]]", ""),
            ("!Equals [!Ref 'AWS::Region', us-east-1]", ""),
            ("!Equals [!Ref Gone, x]", "Rules may refer to parameters only, and Gone is none"),
            ("!Equals [x]", "Fn::Equals in a rule has the wrong arguments"),
            ("!Contains [!RefAll 'AWS::EC2::VPC::Id', x]", "does not support Fn::RefAll"),
            ("x", "must be one rule function"),
        ] {
            let rules = format!("{{R: {{Assertions: [{{Assert: {test}, AssertDescription: told}}]}}}}");
            let found = outcome(&rules, &[("Env", "prod")]);
            assert!(found.contains(expected) && found.is_empty() == expected.is_empty(), "{test}: {found}");
        }
    }

    #[test]
    fn a_rule_counts_under_its_condition_and_with_known_parameters() {
        let rules = "{R: {RuleCondition: !Equals [!Ref Env, prod], Assertions: [{Assert: !Equals [a, b]}]}}";
        assert!(outcome(rules, &[("Env", "prod")]).contains("Rule R failed: an assertion does not hold"));
        assert_eq!(outcome(rules, &[("Env", "dev")]), "");
        assert_eq!(outcome(rules, &[]), "");
        assert!(outcome("{R: {Assert: x}}", &[]).contains("list of Assertions"));
    }
}
