//! Conditions on JSON messages: `{ ($.level = "error" || $.code >= 500) && $.user NOT EXISTS }`.

use super::scan::Scanner;
use barge_core::Document;

/// A condition.
#[derive(Debug, PartialEq)]
pub(crate) enum Condition {
    And(Vec<Condition>),
    Or(Vec<Condition>),
    /// The value at a path, and what must be true of it.
    Of(Vec<Step>, Test),
}

/// A step from a value to one inside it.
#[derive(Debug, PartialEq)]
pub(crate) enum Step {
    Member(String),
    Item(usize),
}

/// What must be true of a value.
#[derive(Debug, PartialEq)]
pub(crate) enum Test {
    Number(Compare, f64),
    /// Equal, or not, to a text in which `*` stands for anything.
    Text {
        equal: bool,
        pattern: String,
    },
    Is(Document),
    Missing,
}

/// How numbers compare.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Compare {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

const OPERATORS: [(&str, Compare); 6] = [
    ("!=", Compare::NotEqual),
    ("<=", Compare::LessOrEqual),
    (">=", Compare::GreaterOrEqual),
    ("=", Compare::Equal),
    ("<", Compare::Less),
    (">", Compare::Greater),
];

/// How deep parentheses may be nested.
const DEEPEST: usize = 32;

/// Reads a pattern that begins with `{`.
pub(crate) fn parse(text: &str) -> Result<Condition, String> {
    let mut scanner = Scanner::new(text);
    scanner.next();
    let condition = any(&mut scanner, 0)?;
    scanner.skip_space();
    if scanner.take("}") && scanner.is_done() { Ok(condition) } else { Err(wrong("expected the closing brace")) }
}

fn wrong(what: &str) -> String {
    format!("Invalid filter pattern: {what}.")
}

fn any(scanner: &mut Scanner<'_>, depth: usize) -> Result<Condition, String> {
    list(scanner, "||", |scanner| list(scanner, "&&", |scanner| one(scanner, depth), Condition::And), Condition::Or)
}

/// Conditions between `operator`s; one alone stays as it is.
fn list(
    scanner: &mut Scanner<'_>,
    operator: &str,
    part: impl Fn(&mut Scanner<'_>) -> Result<Condition, String>,
    join: fn(Vec<Condition>) -> Condition,
) -> Result<Condition, String> {
    let first = part(scanner)?;
    let mut rest = Vec::new();
    scanner.skip_space();
    while scanner.take(operator) {
        rest.push(part(scanner)?);
        scanner.skip_space();
    }
    if rest.is_empty() {
        return Ok(first);
    }
    rest.insert(0, first);
    Ok(join(rest))
}

fn one(scanner: &mut Scanner<'_>, depth: usize) -> Result<Condition, String> {
    scanner.skip_space();
    if !scanner.take("(") {
        let path = path(scanner)?;
        return Ok(Condition::Of(path, test(scanner)?));
    }
    if depth == DEEPEST {
        return Err(wrong("too many parentheses"));
    }
    let inner = any(scanner, depth + 1)?;
    scanner.skip_space();
    if scanner.take(")") { Ok(inner) } else { Err(wrong("a parenthesis is not closed")) }
}

fn path(scanner: &mut Scanner<'_>) -> Result<Vec<Step>, String> {
    if !scanner.take("$") {
        return Err(wrong("a selector begins with $"));
    }
    let mut steps = Vec::new();
    loop {
        if scanner.take(".") {
            let name = scanner.take_while(|c| c.is_alphanumeric() || matches!(c, '_' | '-'));
            if name.is_empty() {
                return Err(wrong("a selector names a member after each dot"));
            }
            steps.push(Step::Member(name.to_owned()));
        } else if scanner.take("[") {
            let index = scanner.take_while(|c| c.is_ascii_digit()).parse();
            let index = index.map_err(|_| wrong("a selector has a number in its brackets"))?;
            if !scanner.take("]") {
                return Err(wrong("a bracket is not closed"));
            }
            steps.push(Step::Item(index));
        } else if steps.is_empty() {
            return Err(wrong("a selector names a member"));
        } else {
            return Ok(steps);
        }
    }
}

fn test(scanner: &mut Scanner<'_>) -> Result<Test, String> {
    scanner.skip_space();
    if let Some((_, compare)) = OPERATORS.into_iter().find(|(operator, _)| scanner.take(operator)) {
        return value(scanner, compare);
    }
    match word(scanner).as_str() {
        "IS" => match word(scanner).as_str() {
            "NULL" => Ok(Test::Is(Document::Null)),
            "TRUE" => Ok(Test::Is(Document::Bool(true))),
            "FALSE" => Ok(Test::Is(Document::Bool(false))),
            _ => Err(wrong("IS takes NULL, TRUE or FALSE")),
        },
        "NOT" if word(scanner) == "EXISTS" => Ok(Test::Missing),
        _ => Err(wrong("expected an operator")),
    }
}

fn word(scanner: &mut Scanner<'_>) -> String {
    scanner.skip_space();
    scanner.take_while(char::is_alphabetic).to_ascii_uppercase()
}

fn value(scanner: &mut Scanner<'_>, compare: Compare) -> Result<Test, String> {
    scanner.skip_space();
    let quoted = scanner.peek() == Some('"');
    let text = if quoted {
        scanner.quoted()?
    } else {
        scanner.take_while(|c| !c.is_whitespace() && !matches!(c, ')' | '}' | '&' | '|')).to_owned()
    };
    if text.starts_with('%') {
        return Err(wrong("Barge does not support regular expressions"));
    }
    if text.is_empty() && !quoted {
        return Err(wrong("a value is missing"));
    }
    if !quoted && let Ok(number) = text.parse() {
        return Ok(Test::Number(compare, number));
    }
    match compare {
        Compare::Equal => Ok(Test::Text { equal: true, pattern: text }),
        Compare::NotEqual => Ok(Test::Text { equal: false, pattern: text }),
        _ => Err(wrong("only numbers have an order")),
    }
}

impl Condition {
    /// Whether the condition holds for a message; never where it is not a JSON object.
    pub(crate) fn holds(&self, message: &str) -> bool {
        if !message.trim_start().starts_with('{') {
            return false;
        }
        Document::from_json(message.as_bytes()).is_ok_and(|document| self.of(&document))
    }

    fn of(&self, document: &Document) -> bool {
        match self {
            Self::And(parts) => parts.iter().all(|part| part.of(document)),
            Self::Or(parts) => parts.iter().any(|part| part.of(document)),
            Self::Of(path, test) => {
                let value = path.iter().try_fold(document, |value, step| match step {
                    Step::Member(name) => value.get(name),
                    Step::Item(index) => value.as_list()?.get(*index),
                });
                test.passes(value)
            }
        }
    }
}

impl Test {
    fn passes(&self, value: Option<&Document>) -> bool {
        match (self, value) {
            (Self::Missing, value) => value.is_none(),
            (_, None) => false,
            (Self::Is(wanted), Some(value)) => value == wanted,
            (Self::Number(compare, wanted), Some(value)) => {
                number(value).is_some_and(|number| compare.holds(number, *wanted))
            }
            (Self::Text { equal, pattern }, Some(value)) => {
                value.as_str().is_some_and(|text| like(text, pattern) == *equal)
            }
        }
    }
}

impl Compare {
    fn holds(self, left: f64, right: f64) -> bool {
        let order = left.partial_cmp(&right);
        match self {
            Self::Equal => order.is_some_and(std::cmp::Ordering::is_eq),
            Self::NotEqual => order.is_some_and(std::cmp::Ordering::is_ne),
            Self::Less => order.is_some_and(std::cmp::Ordering::is_lt),
            Self::LessOrEqual => order.is_some_and(std::cmp::Ordering::is_le),
            Self::Greater => order.is_some_and(std::cmp::Ordering::is_gt),
            Self::GreaterOrEqual => order.is_some_and(std::cmp::Ordering::is_ge),
        }
    }
}

#[allow(clippy::cast_precision_loss)] // JSON's numbers are doubles to the pattern language
fn number(value: &Document) -> Option<f64> {
    match value {
        Document::Integer(n) => Some(*n as f64),
        Document::Float(n) => Some(*n),
        _ => None,
    }
}

/// Whether `text` is `pattern`, in which `*` stands for anything.
fn like(text: &str, pattern: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(rest) = text.strip_prefix(parts.next().unwrap_or_default()) else {
        return false;
    };
    let mut rest = rest;
    let mut parts = parts.peekable();
    if parts.peek().is_none() {
        return rest.is_empty();
    }
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            return rest.ends_with(part);
        }
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    true
}
