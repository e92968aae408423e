//! Paging: answers of a bounded size, with a token that says where the next begins.

use super::invalid;
use barge_core::AwsError;

/// Entries in one answer.
pub(super) const PAGE: usize = 100;

/// The number in a token; `start` where there is none.
pub(super) fn read(token: Option<&str>, start: i64) -> Result<i64, AwsError> {
    match token {
        None => Ok(start),
        Some(text) => text.parse().ok().filter(|number| *number >= 0).ok_or_else(|| invalid("Invalid NextToken")),
    }
}

/// One page of `entries`, which the token counts from the first.
pub(super) fn page<T>(entries: Vec<T>, token: Option<&str>) -> Result<(Vec<T>, Option<String>), AwsError> {
    page_of(entries, token, PAGE)
}

/// The same with up to `most` entries.
pub(super) fn page_of<T>(
    entries: Vec<T>,
    token: Option<&str>,
    most: usize,
) -> Result<(Vec<T>, Option<String>), AwsError> {
    let start = usize::try_from(read(token, 0)?).unwrap_or(usize::MAX);
    let end = start.saturating_add(most);
    let next = (entries.len() > end).then(|| end.to_string());
    Ok((entries.into_iter().skip(start).take(most).collect(), next))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_follow_each_other() {
        let all: Vec<usize> = (0..250).collect();
        let (mut seen, mut token) = (Vec::new(), None);
        loop {
            let (entries, next) = page(all.clone(), token.as_deref()).unwrap();
            seen.extend(entries);
            match next {
                Some(next) => token = Some(next),
                None => break,
            }
        }
        assert_eq!(seen, all);
        for token in ["x", "-1", ""] {
            assert!(page(all.clone(), Some(token)).is_err());
        }
    }
}
