//! Filters of describe calls: all filters must hold, one value of each suffices, `*` and `?` are wildcards (EC2 User
//! Guide, "Filter resources").

use crate::errors;
use barge_core::AwsError;
use barge_wire::ec2::{Filter, Tag};

/// A filter's name, and the values that it looks at.
pub(crate) type Field<T> = (&'static str, fn(&T) -> Vec<String>);

/// Most values of one filter.
const MOST_VALUES: usize = 200;

/// Keeps the items that every filter accepts; with each item goes the key that pages are cut by. A filter that is
/// neither among `fields` nor about tags is refused, also where there are no items.
pub(crate) fn apply<T>(
    items: &mut Vec<(String, T)>,
    filters: &[Filter],
    fields: &[Field<T>],
    tags: fn(&T) -> &[Tag],
) -> Result<(), AwsError> {
    for filter in filters {
        let name = filter.name.as_deref().unwrap_or("null");
        let patterns = filter.values.as_deref().unwrap_or_default();
        if patterns.len() > MOST_VALUES {
            return Err(errors::refused(
                "FilterLimitExceeded",
                format!("The maximum number of filter values specified on a single call is {MOST_VALUES}"),
            ));
        }
        let values = reader(name, fields, tags)?;
        items.retain(|(_, item)| {
            values(item).iter().any(|value| patterns.iter().any(|pattern| matches(pattern, value)))
        });
    }
    Ok(())
}

type Reader<'a, T> = Box<dyn Fn(&T) -> Vec<String> + 'a>;

fn reader<'a, T>(name: &'a str, fields: &'a [Field<T>], tags: fn(&T) -> &[Tag]) -> Result<Reader<'a, T>, AwsError> {
    if let Some((_, values)) = fields.iter().find(|(field, _)| *field == name) {
        return Ok(Box::new(values));
    }
    match name.split_once(':') {
        Some(("tag", key)) => Ok(Box::new(move |item| {
            let with_key = tags(item).iter().filter(|tag| tag.key.as_deref() == Some(key));
            with_key.filter_map(|tag| tag.value.clone()).collect()
        })),
        None if name == "tag-key" => {
            Ok(Box::new(move |item| tags(item).iter().filter_map(|tag| tag.key.clone()).collect()))
        }
        None if name == "tag-value" => {
            Ok(Box::new(move |item| tags(item).iter().filter_map(|tag| tag.value.clone()).collect()))
        }
        _ => Err(errors::invalid_value(format!("The filter '{name}' is invalid"))),
    }
}

/// Whether `text` has the form of `pattern`; a backslash takes the meaning from the character after it.
fn matches(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<Part>, Vec<char>) = (parts(pattern), text.chars().collect());
    let (mut p, mut t) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        match pattern.get(p) {
            Some(Part::Any) => {
                star = Some((p, t));
                p += 1;
            }
            Some(part) if part.accepts(text[t]) => {
                p += 1;
                t += 1;
            }
            // Let the last star take one character more, and try again from there.
            _ => match star {
                Some((at, taken)) => {
                    star = Some((at, taken + 1));
                    p = at + 1;
                    t = taken + 1;
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|part| *part == Part::Any)
}

#[derive(Debug, PartialEq)]
enum Part {
    Any,
    One,
    Exactly(char),
}

impl Part {
    fn accepts(&self, c: char) -> bool {
        match self {
            Self::Any => false,
            Self::One => true,
            Self::Exactly(own) => *own == c,
        }
    }
}

fn parts(pattern: &str) -> Vec<Part> {
    let mut chars = pattern.chars();
    let mut parts = Vec::new();
    while let Some(c) = chars.next() {
        parts.push(match c {
            '*' => Part::Any,
            '?' => Part::One,
            '\\' => Part::Exactly(chars.next().unwrap_or('\\')),
            other => Part::Exactly(other),
        });
    }
    parts
}

/// The value of a member that may be absent.
pub(crate) fn text(value: Option<&String>) -> Vec<String> {
    value.cloned().into_iter().collect()
}

/// A boolean as filters write it.
pub(crate) fn truth(value: Option<bool>) -> Vec<String> {
    value.map(|value| value.to_string()).into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn wildcards() {
        for (pattern, text, expected) in [
            ("available", "available", true),
            ("available", "Available", false),
            ("*", "", true),
            ("a*c", "abbc", true),
            ("a*c", "abb", false),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            (r"a\*", "a*", true),
            (r"a\*", "ab", false),
            (r"a\\", r"a\", true),
            ("*ab", "aab", true),
        ] {
            assert_eq!(matches(pattern, text), expected, "{pattern} {text}");
        }
    }

    fn no_tags(_: &String) -> &[Tag] {
        &[]
    }

    #[test]
    fn filters_are_anded_and_values_ored() {
        const FIELDS: &[Field<String>] =
            &[("all", |text| vec![text.clone()]), ("first", |text| text.chars().take(1).map(String::from).collect())];
        let filter = |name: &str, values: &[&str]| Filter {
            name: Some(name.to_owned()),
            values: Some(values.iter().map(ToString::to_string).collect()),
        };
        let run = |filters: &[Filter]| {
            let mut items: Vec<_> = ["ab", "ac", "bc"].map(|text| (String::new(), text.to_owned())).into();
            apply(&mut items, filters, FIELDS, no_tags)
                .map(|()| items.into_iter().map(|(_, text)| text).collect::<Vec<_>>())
        };
        assert_eq!(run(&[filter("first", &["a"]), filter("all", &["*c"])]).unwrap(), ["ac"]);
        assert_eq!(run(&[filter("all", &["ab", "bc"])]).unwrap(), ["ab", "bc"]);
        let error = run(&[filter("size", &["a"])]).unwrap_err();
        assert_eq!(
            (error.code.as_ref(), error.message.as_str()),
            ("InvalidParameterValue", "The filter 'size' is invalid")
        );
    }

    proptest! {
        #[test]
        fn a_text_matches_itself_with_any_part_starred(text in "[a-c]{0,8}", cut in 0usize..9, length in 0usize..9) {
            let start = cut.min(text.len());
            let end = (start + length).min(text.len());
            let pattern = format!("{}*{}", &text[..start], &text[end..]);
            prop_assert!(matches(&pattern, &text));
            prop_assert!(matches(&text, &text));
        }
    }
}
