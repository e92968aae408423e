//! NotificationConfiguration of a template.

use super::super::properties::Members;
use super::{given, list};
use crate::notify::config::Filter;
use crate::notify::{Notification, Target};
use barge_core::{AwsError, Document, IdSource as _};

pub(super) fn read(mut members: Members<'_>, token: &str) -> Result<Notification, AwsError> {
    let path = members.path("LambdaConfigurations");
    // Ids follow from the creation, so that a repeated one changes nothing.
    let ids = barge_core::ids::SeededIds::new(token.as_bytes());
    let target = |(at, document): (usize, &Document)| {
        let mut members = Members::of(&format!("{path}/{at}"), document)?;
        let target = Target {
            id: ids.uuid(),
            function: members
                .required_text("Function")?
                .parse()
                .map_err(|error| AwsError::validation(format!("Property {path}/{at}/Function: {error}")))?,
            events: vec![members.required_text("Event")?],
            filter: match members.members("Filter")? {
                Some(filter) => self::filter(filter)?,
                None => Filter::default(),
            },
        };
        members.finish()?;
        Ok::<_, AwsError>(target)
    };
    let targets = members.list("LambdaConfigurations")?.iter().enumerate().map(target).collect::<Result<_, _>>()?;
    let event_bridge = match members.members("EventBridgeConfiguration")? {
        Some(mut bridge) => {
            let enabled = bridge.boolean("EventBridgeEnabled")?.unwrap_or(true);
            bridge.finish()?;
            enabled
        }
        None => false,
    };
    members.finish()?;
    Ok(Notification { targets, event_bridge })
}

fn filter(mut members: Members<'_>) -> Result<Filter, AwsError> {
    let mut rules = Vec::new();
    if let Some(mut key) = members.members("S3Key")? {
        let path = key.path("Rules");
        for (at, rule) in key.list("Rules")?.iter().enumerate() {
            let mut rule = Members::of(&format!("{path}/{at}"), rule)?;
            rules.push((rule.required_text("Name")?, rule.required_text("Value")?));
            rule.finish()?;
        }
        key.finish()?;
    }
    members.finish()?;
    Ok(Filter::from_rules(rules)?)
}

/// `None` where nobody is told.
pub(super) fn shown(notification: &Notification) -> Option<Document> {
    // A template names one event in each configuration.
    let targets = notification.targets.iter();
    let functions = targets.flat_map(|target| target.events.iter().map(|event| shown_target(target, event))).collect();
    let bridge = notification.event_bridge.then(|| Document::map([("EventBridgeEnabled", true.into())]));
    let functions = list(functions);
    (functions.is_some() || bridge.is_some())
        .then(|| given([("LambdaConfigurations", functions), ("EventBridgeConfiguration", bridge)]))
}

fn shown_target(target: &Target, event: &str) -> Document {
    let rule = |name: &str, value: &str| {
        (!value.is_empty()).then(|| Document::map([("Name", name.into()), ("Value", value.into())]))
    };
    let rules = [rule("prefix", &target.filter.prefix), rule("suffix", &target.filter.suffix)];
    let key = list(rules.into_iter().flatten().collect());
    let filter = key.map(|rules| Document::map([("S3Key", Document::map([("Rules", rules)]))]));
    given([("Event", Some(event.into())), ("Function", Some(target.function.to_string().into())), ("Filter", filter)])
}
