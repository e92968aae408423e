//! PutBucketLifecycleConfiguration, GetBucketLifecycleConfiguration, DeleteBucketLifecycle.

use super::settings::{change, look};
use super::{Request, moment, timestamp};
use crate::core::Core;
use crate::error::{
    INVALID_ARGUMENT, INVALID_REQUEST, MALFORMED_XML, NO_SUCH_LIFECYCLE, Refusal, Result, not_implemented,
};
use crate::lifecycle::{Expiration, Filter, Form, Noncurrent, Rule, Status, check};
use crate::meta::Tags;
use s3s::dto::{
    AbortIncompleteMultipartUpload, DeleteBucketLifecycleInput, DeleteBucketLifecycleOutput, ExpirationStatus,
    GetBucketLifecycleConfigurationInput, GetBucketLifecycleConfigurationOutput, LifecycleExpiration, LifecycleRule,
    LifecycleRuleAndOperator, LifecycleRuleFilter, NoncurrentVersionExpiration, PutBucketLifecycleConfigurationInput,
    PutBucketLifecycleConfigurationOutput, Tag, TransitionDefaultMinimumObjectSize,
};
use std::sync::Arc;

/// What every configuration has whose client names nothing else.
const DEFAULT_MINIMUM: &str = "all_storage_classes_128K";

pub(super) async fn put_lifecycle(
    core: &Arc<Core>,
    request: Request<PutBucketLifecycleConfigurationInput>,
) -> Result<PutBucketLifecycleConfigurationOutput> {
    let Request { caller, input, .. } = request;
    let minimum = input.transition_default_minimum_object_size;
    if minimum.as_ref().is_some_and(|minimum| minimum.as_str() != DEFAULT_MINIMUM) {
        return Err(not_implemented("a TransitionDefaultMinimumObjectSize other than all_storage_classes_128K"));
    }
    let configuration = input.lifecycle_configuration.ok_or(MALFORMED_XML)?;
    let rules = configuration.rules.into_iter().map(|rule| self::rule(core, rule)).collect::<Result<Vec<_>>>()?;
    check(&rules)?;
    change(core, caller, input.bucket, input.expected_bucket_owner, |settings| settings.lifecycle = rules).await?;
    core.lifecycle.notify_one();
    Ok(PutBucketLifecycleConfigurationOutput { transition_default_minimum_object_size: minimum })
}

fn rule(core: &Core, given: LifecycleRule) -> Result<Rule> {
    if given.transitions.is_some_and(|transitions| !transitions.is_empty()) {
        return Err(not_implemented("Transitions"));
    }
    if given.noncurrent_version_transitions.is_some_and(|transitions| !transitions.is_empty()) {
        return Err(not_implemented("NoncurrentVersionTransitions"));
    }
    let status = match given.status.as_str() {
        ExpirationStatus::ENABLED => Status::Enabled,
        ExpirationStatus::DISABLED => Status::Disabled,
        _ => return Err(MALFORMED_XML.into()),
    };
    let filter = match (given.prefix, given.filter) {
        (Some(prefix), None) => Filter { form: Form::Prefix, prefix: Some(prefix), ..Filter::default() },
        (None, Some(filter)) => self::filter(filter)?,
        _ => return Err(MALFORMED_XML.into()),
    };
    let noncurrent = given.noncurrent_version_expiration.map(|given| {
        let days = number(given.noncurrent_days.ok_or(MALFORMED_XML)?);
        Ok::<_, Refusal>(Noncurrent { days, newer: given.newer_noncurrent_versions.map(number) })
    });
    let abort = given
        .abort_incomplete_multipart_upload
        .map(|given| given.days_after_initiation.map(number).ok_or(MALFORMED_XML))
        .transpose()?;
    Ok(Rule {
        id: given.id.filter(|id| !id.is_empty()).unwrap_or_else(|| core.ambient.ids.uuid()),
        status,
        filter,
        expiration: given.expiration.map(expiration).transpose()?,
        noncurrent: noncurrent.transpose()?,
        abort,
    })
}

/// A negative number is no better than zero, which the rules' check refuses.
fn number(given: i32) -> u32 {
    u32::try_from(given).unwrap_or(0)
}

fn size(given: Option<i64>) -> Result<Option<u64>> {
    let refused = |_| INVALID_ARGUMENT.because("Object sizes of a filter must not be negative");
    given.map(|size| u64::try_from(size).map_err(refused)).transpose()
}

fn expiration(given: LifecycleExpiration) -> Result<Expiration> {
    match (given.days, given.date, given.expired_object_delete_marker) {
        (Some(days), None, None) => Ok(Expiration::Days(number(days))),
        (None, Some(date), None) => Ok(Expiration::Date(moment(&date))),
        (None, None, Some(going)) => Ok(Expiration::Markers(going)),
        _ => Err(MALFORMED_XML.into()),
    }
}

fn filter(given: LifecycleRuleFilter) -> Result<Filter> {
    let plain = Filter {
        form: Form::Filter,
        prefix: given.prefix,
        tags: tags(given.tag)?,
        above: size(given.object_size_greater_than)?,
        below: size(given.object_size_less_than)?,
    };
    let Some(and) = given.and else {
        return if plain.conditions() <= 1 { Ok(plain) } else { Err(MALFORMED_XML.into()) };
    };
    let joined = Filter {
        form: Form::Filter,
        prefix: and.prefix,
        tags: tags(and.tags.unwrap_or_default())?,
        above: size(and.object_size_greater_than)?,
        below: size(and.object_size_less_than)?,
    };
    if plain.conditions() > 0 || joined.conditions() < 2 {
        return Err(MALFORMED_XML.into());
    }
    Ok(joined)
}

fn tags(given: impl IntoIterator<Item = Tag>) -> Result<Tags> {
    let mut tags = Tags::new();
    for tag in given {
        if tags.insert(tag.key.unwrap_or_default(), tag.value.unwrap_or_default()).is_some() {
            return Err(INVALID_REQUEST.because("Duplicate Tag Keys are not allowed."));
        }
    }
    Ok(tags)
}

pub(super) async fn get_lifecycle(
    core: &Arc<Core>,
    request: Request<GetBucketLifecycleConfigurationInput>,
) -> Result<GetBucketLifecycleConfigurationOutput> {
    let Request { caller, input, .. } = request;
    let rules = look(core, caller, input.bucket, input.expected_bucket_owner).await?.lifecycle;
    if rules.is_empty() {
        return Err(NO_SUCH_LIFECYCLE.into());
    }
    Ok(GetBucketLifecycleConfigurationOutput {
        rules: Some(rules.into_iter().map(shown).collect()),
        transition_default_minimum_object_size: Some(TransitionDefaultMinimumObjectSize::from_static(DEFAULT_MINIMUM)),
    })
}

fn signed(value: u32) -> i32 {
    i32::try_from(value).unwrap_or(i32::MAX)
}

fn shown(rule: Rule) -> LifecycleRule {
    let status = match rule.status {
        Status::Enabled => ExpirationStatus::ENABLED,
        Status::Disabled => ExpirationStatus::DISABLED,
    };
    let (prefix, filter) = match rule.filter.form {
        Form::Prefix => (rule.filter.prefix, None),
        Form::Filter => (None, Some(shown_filter(rule.filter))),
    };
    LifecycleRule {
        id: Some(rule.id),
        status: ExpirationStatus::from_static(status),
        prefix,
        filter,
        expiration: rule.expiration.map(|expiration| match expiration {
            Expiration::Days(days) => {
                LifecycleExpiration { days: Some(signed(days)), ..LifecycleExpiration::default() }
            }
            Expiration::Date(date) => {
                LifecycleExpiration { date: Some(timestamp(date)), ..LifecycleExpiration::default() }
            }
            Expiration::Markers(going) => {
                LifecycleExpiration { expired_object_delete_marker: Some(going), ..LifecycleExpiration::default() }
            }
        }),
        noncurrent_version_expiration: rule.noncurrent.map(|noncurrent| NoncurrentVersionExpiration {
            noncurrent_days: Some(signed(noncurrent.days)),
            newer_noncurrent_versions: noncurrent.newer.map(signed),
        }),
        abort_incomplete_multipart_upload: rule
            .abort
            .map(|days| AbortIncompleteMultipartUpload { days_after_initiation: Some(signed(days)) }),
        noncurrent_version_transitions: None,
        transitions: None,
    }
}

/// A filter of several conditions is written with And.
fn shown_filter(filter: Filter) -> LifecycleRuleFilter {
    let joined = filter.conditions() > 1;
    let size = |size: Option<u64>| size.map(|size| i64::try_from(size).unwrap_or(i64::MAX));
    let (above, below) = (size(filter.above), size(filter.below));
    let mut tags = filter.tags.into_iter().map(|(key, value)| Tag { key: Some(key), value: Some(value) });
    if joined {
        let tags: Vec<_> = tags.collect();
        let and = LifecycleRuleAndOperator {
            object_size_greater_than: above,
            object_size_less_than: below,
            prefix: filter.prefix,
            tags: (!tags.is_empty()).then_some(tags),
        };
        return LifecycleRuleFilter { and: Some(and), ..LifecycleRuleFilter::default() };
    }
    LifecycleRuleFilter {
        and: None,
        object_size_greater_than: above,
        object_size_less_than: below,
        prefix: filter.prefix,
        tag: tags.next(),
    }
}

pub(super) async fn delete_lifecycle(
    core: &Arc<Core>,
    request: Request<DeleteBucketLifecycleInput>,
) -> Result<DeleteBucketLifecycleOutput> {
    let Request { caller, input, .. } = request;
    change(core, caller, input.bucket, input.expected_bucket_owner, |settings| settings.lifecycle.clear()).await?;
    Ok(DeleteBucketLifecycleOutput::default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn condition(given: LifecycleRuleFilter) -> Result<Filter> {
        filter(given)
    }

    #[test]
    fn filters_come_back_as_they_were_given() {
        let tag = || Tag { key: Some("a".into()), value: Some("1".into()) };
        let none = LifecycleRuleFilter::default;
        let and = LifecycleRuleAndOperator {
            prefix: Some("p".into()),
            tags: Some(vec![tag()]),
            object_size_less_than: Some(9),
            ..LifecycleRuleAndOperator::default()
        };
        for given in [
            none(),
            LifecycleRuleFilter { prefix: Some(String::new()), ..none() },
            LifecycleRuleFilter { tag: Some(tag()), ..none() },
            LifecycleRuleFilter { object_size_greater_than: Some(5), ..none() },
            LifecycleRuleFilter { and: Some(and.clone()), ..none() },
        ] {
            assert_eq!(shown_filter(condition(given.clone()).unwrap()), given);
        }
        for wrong in [
            LifecycleRuleFilter { prefix: Some("p".into()), tag: Some(tag()), ..none() },
            LifecycleRuleFilter { prefix: Some("p".into()), and: Some(and), ..none() },
            LifecycleRuleFilter { and: Some(LifecycleRuleAndOperator::default()), ..none() },
            LifecycleRuleFilter { object_size_less_than: Some(-1), ..none() },
        ] {
            assert!(condition(wrong.clone()).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn one_thing_ends_a_current_version() {
        let given = |days, date: Option<i64>, marker| LifecycleExpiration {
            days,
            date: date.map(|millis| timestamp(barge_core::Timestamp::from_millis(millis))),
            expired_object_delete_marker: marker,
        };
        assert_eq!(expiration(given(Some(3), None, None)).unwrap(), Expiration::Days(3));
        assert_eq!(expiration(given(Some(-3), None, None)).unwrap(), Expiration::Days(0));
        assert_eq!(expiration(given(None, None, Some(true))).unwrap(), Expiration::Markers(true));
        for wrong in [given(None, None, None), given(Some(1), Some(0), None), given(Some(1), None, Some(false))] {
            assert!(expiration(wrong).is_err());
        }
    }
}
