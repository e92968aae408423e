//! The text of `Fn::Sub`, cut at its variables.

/// A piece of the text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// Taken as it is.
    Text(String),
    /// `${Name}` or `${Resource.Attribute}`.
    Variable(String),
}

/// Cuts `text`: `${Name}` is a variable, `${!Name}` the text `${Name}`, any other `$` itself.
pub(super) fn parse(text: &str) -> Result<Vec<Part>, String> {
    let mut parts = Vec::new();
    let mut literal = String::new();
    let mut rest = text;
    while let Some(start) = rest.find("${") {
        literal.push_str(&rest[..start]);
        let inner = &rest[start + 2..];
        let Some(end) = inner.find('}') else {
            literal.push_str("${");
            rest = inner;
            continue;
        };
        let name = &inner[..end];
        if let Some(escaped) = name.strip_prefix('!') {
            literal.push_str("${");
            literal.push_str(escaped);
            literal.push('}');
        } else {
            let name = name.trim();
            let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | ':');
            if name.is_empty() || !name.chars().all(legal) {
                return Err(
                    "variable names in Fn::Sub syntax must contain only alphanumeric characters, underscores, \
                            periods, and colons"
                        .to_owned(),
                );
            }
            if !literal.is_empty() {
                parts.push(Part::Text(std::mem::take(&mut literal)));
            }
            parts.push(Part::Variable(name.to_owned()));
        }
        rest = &inner[end + 1..];
    }
    literal.push_str(rest);
    if !literal.is_empty() || parts.is_empty() {
        parts.push(Part::Text(literal));
    }
    Ok(parts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_cut_at_its_variables() {
        let text = |text: &str| Part::Text(text.to_owned());
        let variable = |name: &str| Part::Variable(name.to_owned());
        for (source, parts) in [
            ("", vec![text("")]),
            ("plain", vec![text("plain")]),
            ("${A}", vec![variable("A")]),
            ("x-${A.Arn}/${AWS::Region}", vec![text("x-"), variable("A.Arn"), text("/"), variable("AWS::Region")]),
            ("echo ${!HOME} $PATH $", vec![text("echo ${HOME} $PATH $")]),
            ("${open", vec![text("${open")]),
        ] {
            assert_eq!(parse(source), Ok(parts), "{source}");
        }
        for source in ["${}", "${a-b}", "${a b}"] {
            assert!(parse(source).is_err(), "{source}");
        }
    }
}
