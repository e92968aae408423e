//! Pages of lists that are short enough to be read whole.

use barge_core::AwsError;
use barge_wire::batch::error::client_exception;

/// How many entries a page may have: what was asked for, at least 1, at most `most`.
pub(super) fn limit(asked: Option<i64>, most: usize) -> Result<usize, AwsError> {
    match asked {
        None => Ok(most),
        Some(n) if n >= 1 => Ok(usize::try_from(n).unwrap_or(most).min(most)),
        Some(n) => Err(client_exception(format!("maxResults must be at least 1, not {n}"))),
    }
}

/// A token that carries `text`.
pub(super) fn token(text: &str) -> String {
    hex::encode(text)
}

/// The text that a token carries.
pub(super) fn read_token(token: &str) -> Result<String, AwsError> {
    let bytes = hex::decode(token).ok();
    bytes.and_then(|bytes| String::from_utf8(bytes).ok()).ok_or_else(|| client_exception("Invalid nextToken"))
}

/// The entries after the one that the token names, in order of `name`, and the token of the next page.
pub(super) fn page<T>(
    entries: Vec<T>,
    name: impl Fn(&T) -> &str,
    asked: Option<i64>,
    next: Option<&str>,
) -> Result<(Vec<T>, Option<String>), AwsError> {
    let limit = limit(asked, 100)?;
    let after = next.map(read_token).transpose()?;
    let rest = entries.into_iter().filter(|entry| after.as_deref().is_none_or(|after| name(entry) > after));
    let mut page: Vec<T> = rest.take(limit + 1).collect();
    let more = page.len() > limit;
    page.truncate(limit);
    let next = page.last().filter(|_| more).map(|last| token(name(last)));
    Ok((page, next))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_join_to_the_whole() {
        let all: Vec<String> = (0..7).map(|n| format!("n{n}")).collect();
        let (mut seen, mut next) = (Vec::new(), None);
        loop {
            let (page, token) = page(all.clone(), String::as_str, Some(3), next.as_deref()).unwrap();
            seen.extend(page);
            match token {
                Some(token) => next = Some(token),
                None => break,
            }
        }
        assert_eq!(seen, all);
        assert!(page(all, String::as_str, None, Some("x")).is_err());
    }
}
