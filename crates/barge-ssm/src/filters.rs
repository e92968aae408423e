//! Which parameters a request means (Systems Manager API reference, ParameterStringFilter).

use crate::rows::Found;
use barge_core::AwsError;
use barge_wire::ssm::{ParameterStringFilter, error};

/// How deep below a path a parameter may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Depth {
    /// Directly below.
    OneLevel,
    /// At any depth.
    Recursive,
}

/// Whether `name` is below `path`.
pub(crate) fn below(name: &str, path: &str, depth: Depth) -> bool {
    let path = path.trim_end_matches('/');
    let Some(rest) = name.strip_prefix(path).and_then(|rest| rest.strip_prefix('/')) else {
        // A name without slashes is below the root.
        return path.is_empty() && !name.contains('/');
    };
    depth == Depth::Recursive || !rest.contains('/')
}

/// Fails where a filter asks for what isn't there.
pub(crate) fn check(filters: &[ParameterStringFilter]) -> Result<(), AwsError> {
    for filter in filters {
        let options: &[&str] = match filter.key.as_str() {
            "Name" => &["Equals", "BeginsWith", "Contains"],
            "Path" => &["OneLevel", "Recursive"],
            "Type" | "Tier" | "DataType" => &["Equals", "BeginsWith"],
            key if key.starts_with("tag:") => &["Equals"],
            key => return Err(error::invalid_filter_key(format!("The filter key {key} is not supported by Barge."))),
        };
        if let Some(option) = filter.option.as_deref().filter(|option| !options.contains(option)) {
            return Err(error::invalid_filter_option(format!(
                "The following filter option is not valid: {option}. Valid options include: [{}].",
                options.join(", ")
            )));
        }
    }
    Ok(())
}

/// Whether a parameter passes every filter.
pub(crate) fn pass(filters: &[ParameterStringFilter], found: &Found) -> bool {
    filters.iter().all(|filter| one(filter, found))
}

fn one(filter: &ParameterStringFilter, found: &Found) -> bool {
    let values = filter.values.as_deref().unwrap_or_default();
    let option = filter.option.as_deref().unwrap_or("Equals");
    let matches = |text: &str| {
        values.iter().any(|value| match option {
            "BeginsWith" => text.starts_with(value.as_str()),
            "Contains" => text.contains(value.as_str()),
            _ => text == value,
        })
    };
    match filter.key.as_str() {
        "Name" => matches(&found.name) || (option == "BeginsWith" && matches(found.name.trim_start_matches('/'))),
        "Path" => {
            let depth = if option == "Recursive" { Depth::Recursive } else { Depth::OneLevel };
            values.iter().any(|path| below(&found.name, path, depth))
        }
        "Type" => matches(found.version.kind.as_str()),
        "Tier" => matches(found.version.tier.as_str()),
        "DataType" => matches("text"),
        key => {
            let tag = key.strip_prefix("tag:").and_then(|key| found.tags.get(key));
            // Without values the tag's key counts.
            tag.is_some_and(|value| values.is_empty() || matches(value))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_below_a_path() {
        use Depth::{OneLevel, Recursive};
        for (name, path, depth, expected) in [
            ("/a/b", "/a", OneLevel, true),
            ("/a/b", "/a/", OneLevel, true),
            ("/a/b/c", "/a", OneLevel, false),
            ("/a/b/c", "/a", Recursive, true),
            ("/ab", "/a", Recursive, false),
            ("/a", "/a", Recursive, false),
            ("a", "/", OneLevel, true),
            ("/a/b", "/", OneLevel, false),
            ("/a/b", "/", Recursive, true),
        ] {
            assert_eq!(below(name, path, depth), expected, "{name} {path} {depth:?}");
        }
    }
}
