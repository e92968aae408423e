//! Describe calls: by ids, through filters, in pages. The same for every kind of record.

use crate::errors;
use crate::filters::{self, Field};
use crate::network::{Network, Record};
use barge_core::AwsError;
use barge_wire::ec2::{Filter, Tag};

/// A record that describe calls show.
pub(crate) trait Described: Record {
    /// The shape that they show it in.
    type Shown: 'static;

    /// What filters may look at, apart from tags.
    const FILTERS: &'static [Field<Self::Shown>];

    /// The record in that shape; `tags` are its own.
    fn show(&self, net: &Network<'_>, tags: Vec<Tag>) -> Result<Self::Shown, AwsError>;

    /// The tags that were given to `show`.
    fn tags(shown: &Self::Shown) -> &[Tag];
}

/// What a describe call asks for.
#[derive(Debug, Default)]
pub(crate) struct Question {
    pub(crate) ids: Option<Vec<String>>,
    pub(crate) filters: Option<Vec<Filter>>,
    pub(crate) max_results: Option<i64>,
    pub(crate) next_token: Option<String>,
}

/// The members that most describe requests have.
macro_rules! question {
    ($input:ident, $ids:ident) => {
        $crate::describe::Question {
            ids: $input.$ids,
            filters: $input.filters,
            max_results: $input.max_results,
            next_token: $input.next_token,
        }
    };
}
pub(crate) use question;

/// The records that a question asks for, in the order of their ids, and the token of the next page.
pub(crate) fn describe<R: Described>(
    net: &Network<'_>,
    question: Question,
) -> Result<(Vec<R::Shown>, Option<String>), AwsError> {
    let ids = question.ids.filter(|ids| !ids.is_empty());
    if ids.is_some() && question.max_results.is_some() {
        return Err(errors::refused(
            "InvalidParameterCombination",
            "The parameter MaxResults cannot be used with a list of IDs in the same request",
        ));
    }
    let records = match ids {
        None => net.list::<R>()?,
        Some(mut ids) => {
            ids.sort();
            ids.dedup();
            ids.iter().map(|id| net.get::<R>(id)).collect::<Result<_, _>>()?
        }
    };
    let mut shown = Vec::with_capacity(records.len());
    for record in records {
        let tags = net.tags(record.id())?;
        shown.push((record.id().to_owned(), record.show(net, tags)?));
    }
    filters::apply(&mut shown, &question.filters.unwrap_or_default(), R::FILTERS, R::tags)?;
    page(shown, question.max_results, question.next_token.as_deref())
}

/// One record, shown with its tags.
pub(crate) fn show<R: Described>(net: &Network<'_>, record: &R) -> Result<R::Shown, AwsError> {
    record.show(net, net.tags(record.id())?)
}

/// The items after the one whose key `token` holds, at most `max_results` of them, by key. The token of the next page
/// is the last item's key, so that a page stays right when items come or go.
pub(crate) fn page<T>(
    mut items: Vec<(String, T)>,
    max_results: Option<i64>,
    token: Option<&str>,
) -> Result<(Vec<T>, Option<String>), AwsError> {
    items.sort_by(|(a, _), (b, _)| a.cmp(b));
    if let Some(token) = token {
        let after = hex::decode(token)
            .ok()
            .and_then(|bytes| String::from_utf8(bytes).ok())
            .ok_or_else(|| errors::refused("InvalidNextToken", format!("The token '{token}' is invalid")))?;
        items.retain(|(key, _)| *key > after);
    }
    let limit = max_results.and_then(|n| usize::try_from(n).ok()).unwrap_or(usize::MAX);
    let truncated = items.len() > limit;
    items.truncate(limit);
    let next = items.last().filter(|_| truncated).map(|(key, _)| hex::encode(key));
    Ok((items.into_iter().map(|(_, item)| item).collect(), next))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_token_that_was_never_given_is_refused() {
        assert!(page(vec![("a".to_owned(), ())], None, Some("?")).unwrap_err().is("InvalidNextToken"));
    }

    proptest! {
        #[test]
        fn pages_joined_are_all_items_by_key(keys in proptest::collection::btree_set("[a-z]{1,6}", 0..30), size in 1i64..7) {
            let items: Vec<_> = keys.iter().rev().map(|key| (key.clone(), key.clone())).collect();
            let (mut joined, mut token) = (Vec::new(), None);
            loop {
                let (page, next) = page(items.clone(), Some(size), token.as_deref()).unwrap();
                joined.extend(page);
                match next {
                    Some(next) => token = Some(next),
                    None => break,
                }
            }
            prop_assert_eq!(joined, keys.into_iter().collect::<Vec<_>>());
        }
    }
}
