//! A function's `Events`: what makes each source call the function (AWS SAM Developer Guide, "EventSource"). Sources whose
//! resource types do not exist are refused by name.

use super::{BucketEvent, Expansion, Path, attribute, reference, resource};
use barge_core::Document;
use indexmap::IndexMap;

/// The function that events are for.
pub(super) struct Target<'a> {
    /// Its logical id.
    pub(super) function: &'a str,
    /// What permissions name: the function, or its alias.
    pub(super) invoked: Document,
    /// What sources call.
    pub(super) arn: Document,
    /// The function's declaration.
    pub(super) source: &'a IndexMap<String, Document>,
}

pub(super) fn expand(work: &mut Expansion<'_>, target: &Target<'_>, events: &Document, path: &Path) {
    let Document::Map(events) = events else {
        return work.wrong(path, "Events must be an object");
    };
    for (name, event) in events {
        let path = path.at(name);
        let properties = event.get("Properties").and_then(Document::as_map);
        let id = format!("{}{name}", target.function);
        match (event.get("Type").and_then(Document::as_str), properties) {
            (Some("S3"), Some(properties)) => bucket(work, target, &id, properties, &path.at("Properties")),
            (Some("Schedule"), Some(properties)) => schedule(work, target, &id, properties, &path.at("Properties")),
            (Some("EventBridgeRule" | "CloudWatchEvent"), Some(properties)) => {
                rule(work, target, &id, properties, &path.at("Properties"));
            }
            (Some("S3" | "Schedule" | "EventBridgeRule" | "CloudWatchEvent"), None) => {
                work.wrong(&path, "an event must have Properties");
            }
            (Some(other), _) => work.unsupported(&path.at("Type"), format!("the event source {other}")),
            (None, _) => work.wrong(&path, "an event must have a Type"),
        }
    }
}

fn known(work: &mut Expansion<'_>, properties: &IndexMap<String, Document>, names: &[&str], path: &Path) {
    for name in properties.keys().filter(|name| !names.contains(&name.as_str())) {
        work.unsupported(&path.at(name), format!("the property {name} of this event source"));
    }
}

fn permission(
    work: &mut Expansion<'_>,
    target: &Target<'_>,
    id: &str,
    rest: [(&str, Document); 2],
    path: &Path,
) -> String {
    let name = format!("{id}Permission");
    let mut properties = vec![("Action", "lambda:InvokeFunction".into()), ("FunctionName", target.invoked.clone())];
    properties.extend(rest);
    work.add(&name, resource("AWS::Lambda::Permission", Document::map(properties), target.source), path);
    name
}

fn bucket(
    work: &mut Expansion<'_>,
    target: &Target<'_>,
    id: &str,
    properties: &IndexMap<String, Document>,
    path: &Path,
) {
    known(work, properties, &["Bucket", "Events", "Filter"], path);
    let Some(bucket) = properties.get("Bucket").and_then(|bucket| bucket.get("Ref")).and_then(Document::as_str) else {
        return work.wrong(&path.at("Bucket"), "the Bucket of an S3 event must be a Ref to a bucket of the template");
    };
    let kinds = match properties.get("Events") {
        Some(Document::List(kinds)) => kinds.clone(),
        Some(one) => vec![one.clone()],
        None => return work.wrong(path, "an S3 event must have Events"),
    };
    let rest = [("Principal", "s3.amazonaws.com".into()), ("SourceAccount", reference("AWS::AccountId"))];
    let permission = permission(work, target, id, rest, path);
    let configurations = kinds
        .into_iter()
        .map(|kind| {
            let mut members = vec![("Event", kind), ("Function", target.arn.clone())];
            members.extend(properties.get("Filter").map(|filter| ("Filter", filter.clone())));
            Document::map(members)
        })
        .collect();
    work.buckets.push(BucketEvent { bucket: bucket.to_owned(), permission, configurations, path: path.clone() });
}

fn schedule(
    work: &mut Expansion<'_>,
    target: &Target<'_>,
    id: &str,
    properties: &IndexMap<String, Document>,
    path: &Path,
) {
    known(work, properties, &["Schedule", "Input", "Name", "Description", "Enabled", "State"], path);
    let Some(expression) = properties.get("Schedule") else {
        return work.wrong(path, "a Schedule event must have a Schedule");
    };
    let mut members = vec![("ScheduleExpression", expression.clone())];
    for name in ["Name", "Description", "State"] {
        members.extend(properties.get(name).map(|value| (name, value.clone())));
    }
    match properties.get("Enabled").map(Document::scalar_text) {
        None => {}
        Some(Some(text)) => {
            let state = if text.eq_ignore_ascii_case("false") { "DISABLED" } else { "ENABLED" };
            members.push(("State", state.into()));
        }
        Some(None) => return work.wrong(&path.at("Enabled"), "Enabled must be a boolean; State may be a function"),
    }
    let entries = ["Input"].iter().filter_map(|name| properties.get(*name).map(|value| (*name, value.clone())));
    emit(work, target, id, members, entries.collect(), path);
}

fn rule(work: &mut Expansion<'_>, target: &Target<'_>, id: &str, properties: &IndexMap<String, Document>, path: &Path) {
    known(work, properties, &["Pattern", "EventBusName", "Input", "InputPath", "State", "RuleName"], path);
    let Some(pattern) = properties.get("Pattern") else {
        return work.wrong(path, "an event rule must have a Pattern");
    };
    let mut members = vec![("EventPattern", pattern.clone())];
    for (name, property) in [("EventBusName", "EventBusName"), ("State", "State"), ("RuleName", "Name")] {
        members.extend(properties.get(name).map(|value| (property, value.clone())));
    }
    let entries =
        ["Input", "InputPath"].iter().filter_map(|name| properties.get(*name).map(|value| (*name, value.clone())));
    emit(work, target, id, members, entries.collect(), path);
}

/// The rule that calls the function, and the permission to.
fn emit(
    work: &mut Expansion<'_>,
    target: &Target<'_>,
    id: &str,
    mut members: Vec<(&str, Document)>,
    entries: Vec<(&str, Document)>,
    path: &Path,
) {
    let called = [("Arn", target.arn.clone()), ("Id", format!("{id}LambdaTarget").into())];
    members.push(("Targets", Document::List(vec![Document::map(called.into_iter().chain(entries))])));
    work.add(id, resource("AWS::Events::Rule", Document::map(members), target.source), path);
    let rest = [("Principal", "events.amazonaws.com".into()), ("SourceArn", attribute(id, "Arn"))];
    permission(work, target, id, rest, path);
}
