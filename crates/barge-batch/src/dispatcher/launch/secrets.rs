//! Secrets of containers, from the file that the operator names: a JSON object from a secret's or parameter's name or ARN
//! to its value, a string or, for a secret of several members, an object.
//!
//! `valueFrom` is a key of the file as it is; the ARN of a Secrets Manager secret, with or without its six random
//! characters, and perhaps followed by `:JSON-KEY:VERSION-STAGE:VERSION-ID`; or the ARN of a parameter of Systems Manager
//! (Batch User Guide, "Specify sensitive data"). Only the current version is there.

use barge_core::Document;
use barge_wire::batch::Secret;
use std::path::Path;

/// How AWS begins every reason of this kind.
const PREFIX: &str =
    "ResourceInitializationError: unable to pull secrets or registry auth: execution resource retrieval failed";

/// Parts of a secret's ARN before its JSON key.
const ARN_PARTS: usize = 7;
/// The hyphen and six random characters that end a secret's ARN.
const SUFFIX: usize = 7;

/// The names and values of a container's secrets.
///
/// # Errors
/// A container's reason in AWS's words, which tells what to set.
pub(super) fn resolve(secrets: &[Secret], file: Option<&Path>) -> Result<Vec<(String, String)>, String> {
    if secrets.is_empty() {
        return Ok(Vec::new());
    }
    let vault = read(file)?;
    let resolve = |secret: &Secret| Ok((secret.name.clone(), value(&vault, &secret.value_from, file)?));
    secrets.iter().map(resolve).collect()
}

fn read(file: Option<&Path>) -> Result<Document, String> {
    let Some(file) = file else {
        return Err(format!(
            "{PREFIX}: this Barge was given no secrets. Start it with --secrets FILE, a JSON object from name or ARN to value."
        ));
    };
    let unreadable =
        |error: &dyn std::fmt::Display| format!("{PREFIX}: the file of secrets {}: {error}", file.display());
    let text = std::fs::read(file).map_err(|error| unreadable(&error))?;
    // Not the parser's own words: they may quote the file.
    let no_object = |place: String| unreadable(&format!("it is not a JSON object{place}"));
    let vault = Document::from_json(&text)
        .map_err(|error| no_object(format!(" (line {}, column {})", error.line(), error.column())))?;
    if vault.as_map().is_some() { Ok(vault) } else { Err(no_object(String::new())) }
}

fn value(vault: &Document, from: &str, file: Option<&Path>) -> Result<String, String> {
    if let Some(found) = vault.get(from) {
        return Ok(text(found));
    }
    let reference = Reference::parse(from);
    if reference.version.is_some_and(|version| version != "AWSCURRENT") {
        return Err(format!("{PREFIX}: {from}: only the current version of a secret is kept in the file of secrets"));
    }
    let found = reference.keys.iter().find_map(|key| vault.get(key)).ok_or_else(|| {
        let file = file.map(|file| file.display().to_string()).unwrap_or_default();
        let service = if from.contains(":secretsmanager:") { "secret from asm" } else { "parameter from ssm" };
        format!("{PREFIX}: unable to retrieve {service}: {from} is not in the file of secrets {file}; add it there")
    })?;
    match reference.member {
        Some(member) => member_of(found, member).ok_or_else(|| {
            format!("{PREFIX}: unable to retrieve secret from asm: retrieved secret from Secrets Manager did not contain json key {member}")
        }),
        None => Ok(text(found)),
    }
}

/// A value as the container sees it: a string as it is, anything else as JSON.
fn text(value: &Document) -> String {
    value.as_str().map_or_else(|| value.to_json(), str::to_owned)
}

/// A member of a secret that is an object, or the text of one.
fn member_of(value: &Document, member: &str) -> Option<String> {
    let parsed = value.as_str().and_then(|json| Document::from_json(json.as_bytes()).ok());
    parsed.as_ref().unwrap_or(value).get(member).map(text)
}

/// What `valueFrom` means where it is no key of the file.
#[derive(Debug, Default, PartialEq, Eq)]
struct Reference<'a> {
    /// Under which keys to look, in order.
    keys: Vec<String>,
    member: Option<&'a str>,
    version: Option<&'a str>,
}

impl<'a> Reference<'a> {
    fn parse(from: &'a str) -> Self {
        let parts: Vec<&str> = from.split(':').collect();
        let filled = |i: usize| parts.get(i).copied().filter(|part| !part.is_empty());
        match (parts.get(2).copied(), parts.get(5).copied()) {
            (Some("secretsmanager"), Some("secret")) if parts.len() >= ARN_PARTS => {
                let name = parts[6];
                let mut keys = vec![parts[..ARN_PARTS].join(":"), name.to_owned()];
                if let Some((at, '-')) = name.char_indices().rev().nth(SUFFIX - 1) {
                    keys.push(name[..at].to_owned());
                    keys.push(format!("{}:{}", parts[..ARN_PARTS - 1].join(":"), &name[..at]));
                }
                Self { keys, member: filled(7), version: filled(8).or(filled(9)) }
            }
            (Some("ssm"), Some(resource)) => {
                let name = resource.strip_prefix("parameter").unwrap_or(resource);
                let keys = vec![name.to_owned(), name.trim_start_matches('/').to_owned()];
                Self { keys, ..Self::default() }
            }
            _ => Self::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;

    const ARN: &str = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:db-AbCdEf";

    fn file(text: &str) -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("secrets.json");
        std::fs::write(&path, text).unwrap();
        (dir, path)
    }

    fn one(from: &str, path: Option<&Path>) -> Result<String, String> {
        let secret = Secret { name: "S".to_owned(), value_from: from.to_owned() };
        resolve(&[secret], path).map(|mut found| found.remove(0).1)
    }

    #[test]
    fn secrets_are_found_by_name_and_arn() {
        let (_dir, path) = file(
            r#"{"plain": "p", "db": {"user": "u", "port": 5432}, "text": "{\"a\": \"b\"}", "/app/key": "k",
                "arn:aws:secretsmanager:eu-west-1:123456789012:secret:whole-XyZ123": "w"}"#,
        );
        let arn = |rest: &str| format!("arn:aws:secretsmanager:eu-west-1:123456789012:secret:{rest}");
        for (from, expected) in [
            ("plain".to_owned(), "p"),
            (format!("{ARN}:user::"), "u"),
            (format!("{ARN}:port:AWSCURRENT:"), "5432"),
            (arn("db:user::"), "u"),
            (arn("text-AbCdEf:a::"), "b"),
            (arn("text-AbCdEf"), "{\"a\": \"b\"}"),
            (arn("whole-XyZ123"), "w"),
            (arn("whole-XyZ123:::"), "w"),
            ("arn:aws:ssm:eu-west-1:123456789012:parameter/app/key".to_owned(), "k"),
            ("arn:aws:ssm:eu-west-1:123456789012:parameter/plain".to_owned(), "p"),
        ] {
            assert_eq!(one(&from, Some(&path)).as_deref(), Ok(expected), "{from}");
        }
        assert_eq!(one(ARN, Some(&path)).unwrap(), r#"{"user":"u","port":5432}"#);
    }

    #[test]
    fn what_is_missing_says_what_to_set() {
        let (_dir, path) = file(r#"{"db": {"user": "u"}}"#);
        let (_other, broken) = file("{\"a\": hidden");
        for (from, path, words) in [
            ("x", None, "Start it with --secrets FILE"),
            ("x", Some(path.as_path()), "unable to retrieve parameter from ssm: x is not in the file"),
            (&format!("{ARN}:nobody::"), Some(path.as_path()), "did not contain json key nobody"),
            (&format!("{ARN}:user:AWSPREVIOUS:"), Some(path.as_path()), "only the current version"),
            ("x", Some(broken.as_path()), "it is not a JSON object (line 1"),
            ("x", Some(Path::new("/nowhere/at/all")), "the file of secrets /nowhere/at/all"),
        ] {
            let error = one(from, path).unwrap_err();
            assert!(error.starts_with(PREFIX) && error.contains(words), "{error}");
            assert!(!error.contains("hidden"), "{error}");
        }
        assert_eq!(resolve(&[], None), Ok(Vec::new()));
    }
}
