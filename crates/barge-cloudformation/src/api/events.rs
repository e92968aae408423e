//! DescribeStackEvents.

use super::pages::{self, PAGE};
use super::{CloudFormation, invalid};
use crate::engine::{self, EventRecord, StackRecord};
use barge_core::{AwsError, Context};
use barge_wire::cloudformation::{DescribeStackEventsInput, DescribeStackEventsOutput, StackEvent};

pub(super) async fn describe(
    service: &CloudFormation,
    cx: &Context,
    input: DescribeStackEventsInput,
) -> Result<DescribeStackEventsOutput, AwsError> {
    let stack = service.find(&cx.scope, &input.stack_name).await?;
    let stack = stack.ok_or_else(|| invalid(format!("Stack [{}] does not exist", input.stack_name)))?;
    let before = pages::read(input.next_token.as_deref(), i64::MAX)?;
    let id = stack.id.clone();
    let events = service.engine.store().read(move |db| engine::events(db, &id, before, PAGE + 1)).await?;
    // The next page begins before this one's last.
    let next_token = (events.len() > PAGE).then(|| events[PAGE - 1].0.to_string());
    let events = events.into_iter().take(PAGE).map(|(_, event)| described(event, &stack)).collect();
    Ok(DescribeStackEventsOutput { stack_events: Some(events), next_token })
}

fn described(event: EventRecord, stack: &StackRecord) -> StackEvent {
    StackEvent {
        stack_id: stack.id.clone(),
        event_id: event.id,
        stack_name: stack.name.clone(),
        logical_resource_id: Some(event.logical_id),
        // AWS gives an empty one before there is any.
        physical_resource_id: Some(event.physical_id.unwrap_or_default()),
        resource_type: Some(event.type_name),
        timestamp: event.at,
        resource_status: Some(event.status),
        resource_status_reason: event.reason,
        resource_properties: event.properties,
        client_request_token: event.token,
        ..StackEvent::default()
    }
}
