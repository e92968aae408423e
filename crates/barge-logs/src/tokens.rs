//! Page tokens: positions in what was read, so that a page stays right when other things come and go.

use crate::errors::bad_token;
use barge_core::AwsError;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// A token of a list in the order of a text key: the last key given.
pub(crate) fn after(key: &str) -> String {
    URL_SAFE_NO_PAD.encode(key)
}

/// The key in a token that [`after`] made.
pub(crate) fn read_after(token: &str) -> Result<String, AwsError> {
    let bytes = URL_SAFE_NO_PAD.decode(token).map_err(|_| bad_token())?;
    String::from_utf8(bytes).map_err(|_| bad_token())
}

/// Numbers as a token.
pub(crate) fn numbers<const N: usize>(kind: &str, values: [i64; N]) -> String {
    let values: Vec<String> = values.iter().map(i64::to_string).collect();
    format!("{kind}/{}", URL_SAFE_NO_PAD.encode(values.join(".")))
}

/// The numbers in a token that [`numbers`] made, and its kind.
pub(crate) fn read_numbers<const N: usize>(token: &str) -> Result<(&str, [i64; N]), AwsError> {
    let (kind, values) = token.split_once('/').ok_or_else(bad_token)?;
    let values = read_after(values)?;
    let values: Option<Vec<i64>> = values.split('.').map(|value| value.parse().ok()).collect();
    let values = values.and_then(|values| values.try_into().ok()).ok_or_else(bad_token)?;
    Ok((kind, values))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn tokens_come_back(values: [i64; 3], key: String) {
            let token = numbers("f", values);
            prop_assert_eq!(read_numbers::<3>(&token), Ok(("f", values)));
            prop_assert_eq!(read_after(&after(&key)), Ok(key));
        }

        #[test]
        fn what_was_never_given_is_refused_and_nothing_panics(token: String) {
            let _ = read_numbers::<2>(&token);
            let _ = read_after(&token);
        }
    }
}
