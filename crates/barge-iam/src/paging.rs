//! Pages of a list that is sorted by a key (IAM API Reference, "Marker", "MaxItems").

use crate::errors;
use barge_core::AwsError;

/// What a client gets where it asks for no number.
const DEFAULT_ITEMS: usize = 100;

#[derive(Debug)]
pub(crate) struct Page<T> {
    pub(crate) items: Vec<T>,
    pub(crate) is_truncated: Option<bool>,
    pub(crate) marker: Option<String>,
}

/// The items after `marker`, at most `max_items` of them, in the order of `key`. The marker is the key of the last item
/// given, so that a page stays right when items before it come or go.
pub(crate) fn page<T>(
    mut items: Vec<T>,
    key: impl Fn(&T) -> String,
    marker: Option<&str>,
    max_items: Option<i64>,
) -> Result<Page<T>, AwsError> {
    items.sort_by_cached_key(&key);
    if let Some(marker) = marker {
        let after = hex::decode(marker)
            .ok()
            .and_then(|bytes| String::from_utf8(bytes).ok())
            .ok_or_else(|| errors::validation(format!("Invalid Marker: {marker}")))?;
        items.retain(|item| key(item) > after);
    }
    let limit = max_items.and_then(|n| usize::try_from(n).ok()).unwrap_or(DEFAULT_ITEMS);
    let truncated = items.len() > limit;
    items.truncate(limit);
    let marker = items.last().filter(|_| truncated).map(|last| hex::encode(key(last)));
    Ok(Page { items, is_truncated: Some(truncated), marker })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_marker_that_was_never_given_is_refused() {
        assert!(page(vec!["a"], |s| (*s).to_owned(), Some("zz"), None).is_err());
    }

    proptest! {
        #[test]
        fn pages_joined_are_the_sorted_list(names in proptest::collection::btree_set("[a-z]{1,6}", 0..30), size in 1i64..7) {
            let all: Vec<String> = names.into_iter().collect();
            let (mut joined, mut marker) = (Vec::new(), None);
            loop {
                let page = page(all.iter().rev().cloned().collect(), Clone::clone, marker.as_deref(), Some(size)).unwrap();
                joined.extend(page.items);
                if page.is_truncated == Some(false) {
                    break;
                }
                marker = page.marker;
            }
            prop_assert_eq!(joined, all);
        }
    }
}
