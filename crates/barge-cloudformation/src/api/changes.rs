//! The changes of a change set in the shapes of DescribeChangeSet.

use crate::engine::{Action, Detail, Replacement as Replaced, ResourceDifference, Source, Target};
use crate::template::RemovalPolicy;
use barge_wire::cloudformation::{
    AttributeChangeType, Change, ChangeAction, ChangeSource, ChangeType, EvaluationType, PolicyAction, Replacement,
    RequiresRecreation, ResourceAttribute, ResourceChange, ResourceChangeDetail, ResourceTargetDefinition,
};

/// Whether an answer holds the values of what changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Values {
    Shown,
    LeftOut,
}

pub(super) fn change(difference: ResourceDifference, values: Values) -> Change {
    let ResourceDifference {
        logical_id,
        type_name,
        physical_id,
        action,
        replacement,
        policy,
        details,
        change_set,
        before,
        after,
    } = difference;
    let mut scope: Vec<ResourceAttribute> = details.iter().map(|detail| attribute(&detail.target)).collect();
    scope.sort_unstable();
    scope.dedup();
    let replaced = replacement == Some(Replaced::True);
    Change {
        r#type: Some(ChangeType::Resource),
        resource_change: Some(ResourceChange {
            policy_action: policy.map(|policy| match (policy, replaced) {
                (RemovalPolicy::Delete, false) => PolicyAction::Delete,
                (RemovalPolicy::Delete, true) => PolicyAction::ReplaceAndDelete,
                (_, false) => PolicyAction::Retain,
                (_, true) => PolicyAction::ReplaceAndRetain,
            }),
            action: Some(match action {
                Action::Add => ChangeAction::Add,
                Action::Import => ChangeAction::Import,
                Action::Modify => ChangeAction::Modify,
                Action::Remove => ChangeAction::Remove,
            }),
            logical_resource_id: Some(logical_id),
            physical_resource_id: physical_id,
            resource_type: Some(type_name),
            replacement: replacement.map(|replacement| match replacement {
                Replaced::True => Replacement::True,
                Replaced::False => Replacement::False,
                Replaced::Conditional => Replacement::Conditional,
            }),
            scope: Some(scope),
            change_set_id: change_set,
            before_context: before.filter(|_| values == Values::Shown),
            after_context: after.filter(|_| values == Values::Shown),
            details: Some(details.into_iter().map(|found| detail(found, values)).collect()),
            ..ResourceChange::default()
        }),
        ..Change::default()
    }
}

fn attribute(target: &Target) -> ResourceAttribute {
    match target {
        Target::Property(_) => ResourceAttribute::Properties,
        Target::Metadata => ResourceAttribute::Metadata,
        Target::DeletionPolicy => ResourceAttribute::DeletionPolicy,
        Target::UpdateReplacePolicy => ResourceAttribute::UpdateReplacePolicy,
        Target::Tags => ResourceAttribute::Tags,
    }
}

fn detail(detail: Detail, values: Values) -> ResourceChangeDetail {
    let Detail { target, source, known, replaces, before, after } = detail;
    let (change_source, causing_entity) = match source {
        Source::Direct => (ChangeSource::DirectModification, None),
        Source::Parameter(name) => (ChangeSource::ParameterReference, Some(name)),
        Source::Reference(name) => (ChangeSource::ResourceReference, Some(name)),
        Source::Attribute(name) => (ChangeSource::ResourceAttribute, Some(name)),
        Source::Automatic => (ChangeSource::Automatic, None),
    };
    let shown = values == Values::Shown;
    let change_type = match (&before, &after) {
        (None, Some(_)) => AttributeChangeType::Add,
        (Some(_), None) if known => AttributeChangeType::Remove,
        _ => AttributeChangeType::Modify,
    };
    let property = |name: &String| (Some(name.clone()), Some(format!("/Properties/{name}")));
    let (name, path) = match &target {
        Target::Property(name) => property(name),
        _ => (None, None),
    };
    ResourceChangeDetail {
        target: Some(ResourceTargetDefinition {
            attribute: Some(attribute(&target)),
            requires_recreation: matches!(target, Target::Property(_)).then_some(if replaces {
                RequiresRecreation::Always
            } else {
                RequiresRecreation::Never
            }),
            name,
            path: path.filter(|_| shown),
            before_value: before.filter(|_| shown),
            after_value: after.filter(|_| shown),
            attribute_change_type: shown.then_some(change_type),
            ..ResourceTargetDefinition::default()
        }),
        evaluation: Some(if known { EvaluationType::Static } else { EvaluationType::Dynamic }),
        change_source: Some(change_source),
        causing_entity,
    }
}
