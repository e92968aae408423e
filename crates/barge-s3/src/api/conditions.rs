//! Conditional requests (Amazon S3 User Guide, "Add preconditions to S3 operations with conditional requests").

use super::{moment, to_the_second};
use crate::error::{Error, NO_SUCH_KEY, PRECONDITION_FAILED, Result, not_implemented};
use crate::meta::Object;
use barge_core::Timestamp;
use s3s::dto::{self, ETagCondition};

/// What must hold of an object that is read.
#[derive(Default)]
pub(super) struct Reading {
    pub(super) matches: Option<ETagCondition>,
    pub(super) none_match: Option<ETagCondition>,
    pub(super) modified_since: Option<dto::Timestamp>,
    pub(super) unmodified_since: Option<dto::Timestamp>,
}

impl Reading {
    /// `PreconditionFailed` or not modified.
    pub(super) fn check(&self, object: &Object) -> Result<()> {
        let since = |since: &dto::Timestamp| to_the_second(moment(since));
        let later = |than: Timestamp| object.modified > than;
        match (&self.matches, &self.unmodified_since) {
            (Some(condition), _) if !holds(condition, &object.etag) => return Err(PRECONDITION_FAILED.into()),
            (None, Some(time)) if later(since(time)) => return Err(PRECONDITION_FAILED.into()),
            _ => {}
        }
        match (&self.none_match, &self.modified_since) {
            (Some(condition), _) if holds(condition, &object.etag) => Err(not_modified(object)),
            (None, Some(time)) if !later(since(time)) => Err(not_modified(object)),
            _ => Ok(()),
        }
    }

    /// [`Reading::check`] for the source of a copy, where what has not been modified is a failure too.
    pub(super) fn check_source(&self, object: &Object) -> Result<()> {
        self.check(object).map_err(|error| match error {
            Error::NotModified { .. } => PRECONDITION_FAILED.into(),
            error => error,
        })
    }
}

fn holds(condition: &ETagCondition, etag: &str) -> bool {
    match condition {
        ETagCondition::Any => true,
        ETagCondition::ETag(wanted) => wanted.value() == etag,
    }
}

fn not_modified(object: &Object) -> Error {
    Error::NotModified { etag: object.etag.clone(), modified: object.modified }
}

/// What must hold of the object that is about to be replaced or removed.
#[derive(Clone, Default)]
pub(super) struct Writing {
    pub(super) matches: Option<ETagCondition>,
    pub(super) none_match: Option<ETagCondition>,
}

impl Writing {
    /// `PreconditionFailed`, or `NoSuchKey` where something must match and there is nothing.
    pub(super) fn check(&self, current: Option<&Object>) -> Result<()> {
        match (&self.matches, current) {
            (Some(_), None) => return Err(NO_SUCH_KEY.into()),
            (Some(condition), Some(object)) if !holds(condition, &object.etag) => {
                return Err(PRECONDITION_FAILED.into());
            }
            _ => {}
        }
        match (&self.none_match, current) {
            (Some(ETagCondition::Any), Some(_)) => Err(PRECONDITION_FAILED.into()),
            (Some(ETagCondition::ETag(_)), _) => Err(not_implemented("If-None-Match with an entity tag on a write")),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checksum::{Algorithm, Checksum, Coverage};
    use crate::error::Refusal;
    use crate::meta::{Detail, Version};
    use s3s::dto::ETag;

    fn object() -> Object {
        Object {
            key: "k".into(),
            version: Version::default(),
            size: 0,
            etag: "e".into(),
            modified: Timestamp::from_millis(10_000),
            checksum: Checksum { algorithm: Algorithm::DEFAULT, coverage: Coverage::FullObject, value: String::new() },
            detail: Detail::default(),
        }
    }

    fn tag(value: &str) -> ETagCondition {
        ETagCondition::ETag(ETag::Strong(value.into()))
    }

    fn at(seconds: i64) -> dto::Timestamp {
        super::super::timestamp(Timestamp::from_millis(seconds * 1000))
    }

    #[test]
    fn reading() {
        let pass = |reading: Reading| reading.check(&object()).is_ok();
        let fails = |reading: Reading| matches!(reading.check(&object()), Err(error) if error.is(&PRECONDITION_FAILED));
        let fresh = |reading: Reading| matches!(reading.check(&object()), Err(Error::NotModified { .. }));
        assert!(pass(Reading { matches: Some(tag("e")), ..Reading::default() }));
        assert!(fails(Reading { matches: Some(tag("f")), ..Reading::default() }));
        assert!(fresh(Reading { none_match: Some(tag("e")), ..Reading::default() }));
        assert!(pass(Reading { none_match: Some(tag("f")), ..Reading::default() }));
        assert!(pass(Reading { modified_since: Some(at(9)), ..Reading::default() }));
        assert!(fresh(Reading { modified_since: Some(at(10)), ..Reading::default() }));
        assert!(pass(Reading { unmodified_since: Some(at(10)), ..Reading::default() }));
        assert!(fails(Reading { unmodified_since: Some(at(9)), ..Reading::default() }));
        // The entity tag decides where both are given.
        assert!(pass(Reading { matches: Some(tag("e")), unmodified_since: Some(at(9)), ..Reading::default() }));
        assert!(pass(Reading { none_match: Some(tag("f")), modified_since: Some(at(10)), ..Reading::default() }));
        assert!(
            Reading { none_match: Some(tag("e")), ..Reading::default() }
                .check_source(&object())
                .unwrap_err()
                .is(&PRECONDITION_FAILED)
        );
    }

    #[test]
    fn writing() {
        let object = object();
        let cases: [(Writing, Option<&Object>, Option<Refusal>); 7] = [
            (Writing::default(), Some(&object), None),
            (Writing { none_match: Some(ETagCondition::Any), ..Writing::default() }, None, None),
            (
                Writing { none_match: Some(ETagCondition::Any), ..Writing::default() },
                Some(&object),
                Some(PRECONDITION_FAILED),
            ),
            (Writing { matches: Some(tag("e")), ..Writing::default() }, Some(&object), None),
            (Writing { matches: Some(tag("f")), ..Writing::default() }, Some(&object), Some(PRECONDITION_FAILED)),
            (Writing { matches: Some(tag("e")), ..Writing::default() }, None, Some(NO_SUCH_KEY)),
            (Writing { none_match: Some(tag("e")), ..Writing::default() }, None, Some(crate::error::NOT_IMPLEMENTED)),
        ];
        for (writing, current, refusal) in cases {
            match (writing.check(current), refusal) {
                (Ok(()), None) => {}
                (Err(error), Some(refusal)) => assert!(error.is(&refusal), "{error}"),
                (result, refusal) => panic!("{result:?} {refusal:?}"),
            }
        }
    }
}
