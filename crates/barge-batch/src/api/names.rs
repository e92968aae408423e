//! What things may be called, and how requests refer to them: by name or by ARN.

use barge_core::{Arn, Context};

/// 1 to 128 letters, digits, hyphens and underscores, the first a letter or digit.
pub(super) fn is_legal(name: &str) -> bool {
    let legal = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
    (1..=128).contains(&name.len())
        && name.bytes().all(legal)
        && name.bytes().next().is_some_and(|first| first.is_ascii_alphanumeric())
}

/// The ARN that `text`, a name or an ARN, refers to among resources of `kind` (e.g. `job-queue`) in the request's account and
/// region; `None` where it can't refer to one.
pub(super) fn resolve(cx: &Context, kind: &str, text: &str) -> Option<String> {
    if !text.starts_with("arn:") {
        return is_legal(text).then(|| cx.scope.arn("batch", format!("{kind}/{text}")).to_string());
    }
    let arn: Arn = text.parse().ok()?;
    let ours = arn.service == "batch" && arn.scope().as_ref() == Some(&cx.scope) && arn.resource_name(kind).is_some();
    ours.then(|| arn.to_string())
}

/// A reference to a job definition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct DefinitionRef {
    pub(super) name: String,
    pub(super) revision: Option<i64>,
}

/// Reads `name`, `name:revision`, or an ARN with or without revision.
pub(super) fn definition(cx: &Context, text: &str) -> Option<DefinitionRef> {
    let arn: Option<Arn> = text.starts_with("arn:").then(|| text.parse().ok()).flatten();
    let local = match &arn {
        Some(arn) => {
            let ours = arn.service == "batch" && arn.scope().as_ref() == Some(&cx.scope);
            ours.then(|| arn.resource_name("job-definition")).flatten()?
        }
        None => text,
    };
    let (name, revision) = match local.split_once(':') {
        Some((name, revision)) => (name, Some(revision.parse().ok().filter(|n| *n > 0)?)),
        None => (local, None),
    };
    is_legal(name).then(|| DefinitionRef { name: name.to_owned(), revision })
}

#[cfg(test)]
mod tests {
    use super::*;
    use barge_core::{Ambient, Scope};

    #[test]
    fn names_and_arns_refer_alike() {
        let cx = Ambient::system("http://localhost").context(Scope::default(), "test");
        let arn = "arn:aws:batch:us-east-1:000000000000:job-queue/q";
        for (text, expected) in [
            ("q", Some(arn)),
            (arn, Some(arn)),
            ("a/b", None),
            ("", None),
            ("arn:aws:batch:us-west-2:000000000000:job-queue/q", None),
            ("arn:aws:batch:us-east-1:000000000000:job/q", None),
        ] {
            assert_eq!(resolve(&cx, "job-queue", text).as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn definitions_with_and_without_revision() {
        let cx = Ambient::system("http://localhost").context(Scope::default(), "test");
        let arn = "arn:aws:batch:us-east-1:000000000000:job-definition/d";
        for (text, expected) in [
            ("d".to_owned(), Some(None)),
            ("d:3".to_owned(), Some(Some(3))),
            (arn.to_owned(), Some(None)),
            (format!("{arn}:3"), Some(Some(3))),
            ("d:x".to_owned(), None),
            ("d:0".to_owned(), None),
            ("d:3:4".to_owned(), None),
        ] {
            assert_eq!(definition(&cx, &text).map(|found| found.revision), expected, "{text}");
        }
    }
}
