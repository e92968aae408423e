//! Parameters in commands (Batch User Guide, "Job definition parameters").

use std::collections::BTreeMap;

/// A command with its parameters in place.
pub(super) fn command(words: &[String], parameters: &BTreeMap<String, String>) -> Vec<String> {
    words.iter().map(|word| substitute(word, parameters)).collect()
}

/// Replaces each `Ref::name` by the parameter of that name (Batch User Guide, "Job definition parameters"). A name that
/// is no parameter stays as it is.
fn substitute(word: &str, parameters: &BTreeMap<String, String>) -> String {
    const MARK: &str = "Ref::";
    let mut result = String::with_capacity(word.len());
    let mut rest = word;
    while let Some(at) = rest.find(MARK) {
        let (before, marked) = rest.split_at(at);
        let after = &marked[MARK.len()..];
        let legal = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
        let end = after.find(|c| !legal(c)).unwrap_or(after.len());
        let (name, tail) = after.split_at(end);
        result.push_str(before);
        match parameters.get(name) {
            Some(value) => result.push_str(value),
            None => result.extend([MARK, name]),
        }
        rest = tail;
    }
    result.push_str(rest);
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_replace_their_references() {
        let parameters = [("in", "s3://b/k"), ("n", "3"), ("loop", "Ref::n")];
        let parameters = parameters.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        for (word, expected) in [
            ("Ref::in", "s3://b/k"),
            ("--in=Ref::in,Ref::n", "--in=s3://b/k,3"),
            ("Ref::other", "Ref::other"),
            ("Ref::loop", "Ref::n"),
            ("Ref::", "Ref::"),
            ("plain é", "plain é"),
        ] {
            assert_eq!(substitute(word, &parameters), expected);
        }
    }
}
