//! LifecycleConfiguration of a template: rules are flatter there than in S3's API.

use super::super::properties::Members;
use super::{given, list};
use crate::lifecycle::{Expiration, Filter, Form, Noncurrent, Rule, Status, check};
use crate::meta::Tags;
use barge_core::ids::SeededIds;
use barge_core::{AwsError, Document, IdSource as _, Timestamp};

/// Ids that the template leaves out follow from `token`, so that a repeated creation changes nothing.
pub(super) fn read(mut members: Members<'_>, token: &str) -> Result<Vec<Rule>, AwsError> {
    let path = members.path("Rules");
    let ids = SeededIds::new(format!("lifecycle {token}").into_bytes());
    let rule = |(at, document): (usize, &Document)| rule(Members::of(&format!("{path}/{at}"), document)?, &ids);
    let rules = members.list("Rules")?.iter().enumerate().map(rule).collect::<Result<Vec<_>, AwsError>>()?;
    let minimum = members.text("TransitionDefaultMinimumObjectSize")?;
    if minimum.is_some_and(|minimum| minimum != "all_storage_classes_128K") {
        let path = members.path("TransitionDefaultMinimumObjectSize");
        return Err(AwsError::validation(format!("Barge implements only the default of the property {path}")));
    }
    members.finish()?;
    check(&rules)?;
    Ok(rules)
}

fn rule(mut members: Members<'_>, ids: &SeededIds) -> Result<Rule, AwsError> {
    let status = match members.required_text("Status")?.as_str() {
        "Enabled" => Status::Enabled,
        "Disabled" => Status::Disabled,
        other => return Err(refused(&members, "Status", &format!("must be Enabled or Disabled, not {other}"))),
    };
    let rule = Rule {
        id: members.text("Id")?.unwrap_or_else(|| ids.uuid()),
        status,
        filter: Filter {
            form: Form::Filter,
            prefix: members.text("Prefix")?,
            tags: tags(&mut members)?,
            above: members.number("ObjectSizeGreaterThan")?,
            below: members.number("ObjectSizeLessThan")?,
        },
        expiration: expiration(&mut members)?,
        noncurrent: noncurrent(&mut members)?,
        abort: match members.members("AbortIncompleteMultipartUpload")? {
            Some(mut abort) => {
                let days = abort.required_number("DaysAfterInitiation")?;
                abort.finish()?;
                Some(days)
            }
            None => None,
        },
    };
    members.finish()?;
    Ok(rule)
}

fn refused(members: &Members<'_>, name: &str, why: &str) -> AwsError {
    AwsError::validation(format!("Property {} {why}", members.path(name)))
}

fn tags(members: &mut Members<'_>) -> Result<Tags, AwsError> {
    let path = members.path("TagFilters");
    let mut tags = Tags::new();
    for (at, tag) in members.list("TagFilters")?.iter().enumerate() {
        let mut tag = Members::of(&format!("{path}/{at}"), tag)?;
        if tags.insert(tag.required_text("Key")?, tag.required_text("Value")?).is_some() {
            return Err(AwsError::validation(format!("Property {path} must not name a key twice")));
        }
        tag.finish()?;
    }
    Ok(tags)
}

fn expiration(members: &mut Members<'_>) -> Result<Option<Expiration>, AwsError> {
    let days = members.number("ExpirationInDays")?.map(Expiration::Days);
    let date = match members.text("ExpirationDate")? {
        Some(text) => {
            let date = Timestamp::parse_iso8601(&text);
            let wrong = || refused(members, "ExpirationDate", &format!("must be a date in ISO 8601, not {text}"));
            Some(Expiration::Date(date.ok_or_else(wrong)?))
        }
        None => None,
    };
    let markers = members.boolean("ExpiredObjectDeleteMarker")?.map(Expiration::Markers);
    let mut said = [days, date, markers].into_iter().flatten();
    match (said.next(), said.next()) {
        (Some(_), Some(_)) => {
            let why = "can't be said together with ExpirationDate or ExpiredObjectDeleteMarker";
            Err(refused(members, "ExpirationInDays", why))
        }
        (said, _) => Ok(said),
    }
}

/// The structure, or the number of days, which is the older way.
fn noncurrent(members: &mut Members<'_>) -> Result<Option<Noncurrent>, AwsError> {
    let days = members.number("NoncurrentVersionExpirationInDays")?.map(|days| Noncurrent { days, newer: None });
    let Some(mut structure) = members.members("NoncurrentVersionExpiration")? else { return Ok(days) };
    if days.is_some() {
        let why = "can't be said together with NoncurrentVersionExpiration";
        return Err(refused(members, "NoncurrentVersionExpirationInDays", why));
    }
    let noncurrent = Noncurrent {
        days: structure.required_number("NoncurrentDays")?,
        newer: structure.number("NewerNoncurrentVersions")?,
    };
    structure.finish()?;
    Ok(Some(noncurrent))
}

/// `None` where there are no rules.
pub(super) fn shown(rules: &[Rule]) -> Option<Document> {
    list(rules.iter().map(shown_rule).collect()).map(|rules| Document::map([("Rules", rules)]))
}

fn shown_rule(rule: &Rule) -> Document {
    let status = match rule.status {
        Status::Enabled => "Enabled",
        Status::Disabled => "Disabled",
    };
    let number = |number: u32| Document::from(i64::from(number));
    let size = |size: u64| Document::from(size.to_string());
    let tag = |(key, value): (&String, &String)| {
        Document::map([("Key", key.as_str().into()), ("Value", value.as_str().into())])
    };
    let (days, date, markers) = match rule.expiration {
        Some(Expiration::Days(days)) => (Some(number(days)), None, None),
        Some(Expiration::Date(date)) => (None, Some(date.iso8601().into()), None),
        Some(Expiration::Markers(going)) => (None, None, Some(going.into())),
        None => (None, None, None),
    };
    let noncurrent = rule.noncurrent.map(|noncurrent| {
        given([
            ("NoncurrentDays", Some(number(noncurrent.days))),
            ("NewerNoncurrentVersions", noncurrent.newer.map(number)),
        ])
    });
    given([
        ("Id", Some(rule.id.as_str().into())),
        ("Status", Some(status.into())),
        ("Prefix", rule.filter.prefix.as_deref().map(Into::into)),
        ("TagFilters", list(rule.filter.tags.iter().map(tag).collect())),
        ("ObjectSizeGreaterThan", rule.filter.above.map(size)),
        ("ObjectSizeLessThan", rule.filter.below.map(size)),
        ("ExpirationInDays", days),
        ("ExpirationDate", date),
        ("ExpiredObjectDeleteMarker", markers),
        ("NoncurrentVersionExpiration", noncurrent),
        (
            "AbortIncompleteMultipartUpload",
            rule.abort.map(|days| Document::map([("DaysAfterInitiation", number(days))])),
        ),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(rule: &str) -> Result<Rule, AwsError> {
        let document = Document::from_json(format!(r#"{{"Rules":[{rule}]}}"#).as_bytes()).unwrap();
        let mut rules = read(Members::of("LifecycleConfiguration", &document).unwrap(), "token")?;
        Ok(rules.remove(0))
    }

    #[test]
    fn the_older_ways_of_saying_it() {
        let rule = said(r#"{"Status":"Enabled","NoncurrentVersionExpirationInDays":"9"}"#).unwrap();
        assert_eq!(rule.noncurrent, Some(Noncurrent { days: 9, newer: None }));
        assert_eq!(
            rule.id,
            said(r#"{"Status":"Enabled","ExpirationInDays":1}"#).unwrap().id,
            "ids follow from the token"
        );
        let shown = shown(&[rule]).unwrap();
        assert!(
            shown.to_json().contains(r#""NoncurrentVersionExpiration":{"NoncurrentDays":9}"#),
            "{}",
            shown.to_json()
        );
    }

    #[test]
    fn what_a_template_may_not_say_of_a_lifecycle() {
        for (rule, word) in [
            (r#"{"ExpirationInDays":1}"#, "Rules/0/Status"),
            (r#"{"Status":"On","ExpirationInDays":1}"#, "Rules/0/Status"),
            (r#"{"Status":"Enabled"}"#, "At least one action"),
            (r#"{"Status":"Enabled","ExpirationInDays":0}"#, "'Days'"),
            (r#"{"Status":"Enabled","ExpirationInDays":"soon"}"#, "ExpirationInDays"),
            (r#"{"Status":"Enabled","ExpirationInDays":-1}"#, "ExpirationInDays"),
            (r#"{"Status":"Enabled","ExpirationInDays":1,"ExpiredObjectDeleteMarker":true}"#, "ExpirationInDays"),
            (r#"{"Status":"Enabled","ExpirationDate":"tomorrow"}"#, "ExpirationDate"),
            (r#"{"Status":"Enabled","ExpirationDate":"2030-01-01T12:00:00Z"}"#, "midnight"),
            (r#"{"Status":"Enabled","NoncurrentVersionExpiration":{}}"#, "NoncurrentDays"),
            (r#"{"Status":"Enabled","Transitions":[]}"#, "Transitions"),
            (r#"{"Status":"Enabled","Transition":{"StorageClass":"GLACIER"}}"#, "Transition"),
            (r#"{"Status":"Enabled","NoncurrentVersionTransitions":[]}"#, "NoncurrentVersionTransitions"),
            (
                r#"{"Status":"Enabled","ExpirationInDays":1,"TagFilters":[{"Key":"a","Value":"1"},{"Key":"a","Value":"2"}]}"#,
                "twice",
            ),
        ] {
            let error = said(rule).unwrap_err();
            assert!(error.message.contains(word), "{error}");
        }
    }
}
