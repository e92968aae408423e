//! Stories through the operations, over resource types that live in memory.

mod change_sets;
mod failures;
mod lives;
mod restarts;
mod templates;

use super::CloudFormation;
use crate::Registry;
use crate::fake::{World, providers};
use async_trait::async_trait;
use barge_core::clock::ManualClock;
use barge_core::ids::SeededIds;
use barge_core::ports::{ObjectStore, StoredObject};
use barge_core::{AccountId, Ambient, AwsError, Context, Principal, Scope, Timestamp};
use barge_store::Store;
use barge_wire::cloudformation::{CloudFormation as _, *};
use std::io::{Seek as _, Write as _};
use std::sync::Arc;
use std::time::Duration;

const THING: &str = "Fake::Thing::One";

/// A service on a database of its own.
struct House {
    service: Arc<CloudFormation>,
    world: Arc<World>,
    cx: Context,
}

/// The bucket `b` with the object `t.yaml`.
struct Objects;

#[async_trait]
impl ObjectStore for Objects {
    async fn object(&self, _: &Scope, bucket: &str, key: &str) -> Result<StoredObject, AwsError> {
        if (bucket, key) != ("b", "t.yaml") {
            return Err(AwsError::new("NoSuchKey", 404, "The specified key does not exist."));
        }
        let text = format!("Description: stored\nResources: {{A: {{Type: '{THING}'}}}}");
        let mut file = tempfile::tempfile().map_err(AwsError::internal)?;
        file.write_all(text.as_bytes()).and_then(|()| file.rewind()).map_err(AwsError::internal)?;
        Ok(StoredObject { file, size: text.len() as u64 })
    }
}

fn house(dir: &tempfile::TempDir) -> House {
    house_at(dir, Arc::default(), 0)
}

/// A house whose clock stands still at `minute`.
fn house_at(dir: &tempfile::TempDir, world: Arc<World>, minute: i64) -> House {
    let ambient = Ambient {
        clock: Arc::new(ManualClock::at(Timestamp::from_millis(minute * 60_000))),
        ids: Arc::new(SeededIds::new(minute.to_string())),
        endpoint: "http://127.0.0.1:4566".to_owned(),
    };
    let store = Store::open(dir.path().join("barge.db")).unwrap();
    let cx = Context {
        scope: Scope::default(),
        principal: Principal::Root { account: AccountId::default() },
        request_id: "request".to_owned(),
        now: ambient.clock.now(),
        endpoint: ambient.endpoint.clone(),
    };
    let registry = Registry::new(providers(&world));
    let mut service = CloudFormation::open(store, ambient, registry, Arc::new(Objects)).unwrap();
    // These tests look at stacks that wait.
    Arc::get_mut(&mut service).unwrap().patience = Duration::ZERO;
    House { service, world, cx }
}

/// A template with the resources `lines`, each `Name: Properties`.
fn template(lines: &[&str]) -> String {
    let resources = lines.iter().map(|line| {
        let (name, properties) = line.split_once(": ").unwrap();
        format!("  {name}: {{Type: '{THING}', {properties}}}\n")
    });
    format!("Resources:\n{}", resources.collect::<String>())
}

impl House {
    async fn create(&self, name: &str, template: impl Into<String>) -> Result<String, AwsError> {
        self.create_with(name, template, |_| {}).await
    }

    async fn create_with(
        &self,
        name: &str,
        template: impl Into<String>,
        change: impl FnOnce(&mut CreateStackInput),
    ) -> Result<String, AwsError> {
        let mut input = CreateStackInput {
            stack_name: name.to_owned(),
            template_body: Some(template.into()),
            ..CreateStackInput::default()
        };
        change(&mut input);
        Ok(self.service.create_stack(&self.cx, input).await?.stack_id.unwrap())
    }

    /// Creates a stack and waits until it has settled.
    async fn made(&self, name: &str, template: impl Into<String>) -> String {
        let id = self.create(name, template).await.unwrap();
        self.settle(&id).await;
        id
    }

    async fn settle(&self, id: &str) {
        self.service.engine().settled(id).await.unwrap();
    }

    async fn stack(&self, name_or_id: &str) -> Result<Stack, AwsError> {
        let input = DescribeStacksInput { stack_name: Some(name_or_id.to_owned()), ..DescribeStacksInput::default() };
        Ok(self.service.describe_stacks(&self.cx, input).await?.stacks.unwrap().remove(0))
    }

    async fn status(&self, name_or_id: &str) -> StackStatus {
        self.stack(name_or_id).await.unwrap().stack_status
    }

    async fn delete(&self, name_or_id: &str) -> Result<(), AwsError> {
        let input = DeleteStackInput { stack_name: name_or_id.to_owned(), ..DeleteStackInput::default() };
        self.service.delete_stack(&self.cx, input).await
    }

    /// Events, oldest first, as `LogicalId STATUS: reason`.
    async fn events(&self, name_or_id: &str) -> Vec<String> {
        let (mut events, mut next_token) = (Vec::new(), None);
        loop {
            let input = DescribeStackEventsInput { stack_name: name_or_id.to_owned(), next_token };
            let page = self.service.describe_stack_events(&self.cx, input).await.unwrap();
            events.extend(page.stack_events.unwrap());
            next_token = page.next_token;
            if next_token.is_none() {
                break;
            }
        }
        events.reverse();
        events
            .into_iter()
            .map(|event| {
                let text = format!("{} {}", event.logical_resource_id.unwrap(), event.resource_status.unwrap());
                match event.resource_status_reason {
                    Some(reason) => format!("{text}: {reason}"),
                    None => text,
                }
            })
            .collect()
    }

    async fn resource(&self, stack: &str, logical_id: &str) -> StackResourceDetail {
        let input =
            DescribeStackResourceInput { stack_name: stack.to_owned(), logical_resource_id: logical_id.to_owned() };
        self.service.describe_stack_resource(&self.cx, input).await.unwrap().stack_resource_detail.unwrap()
    }
}

fn parameter(key: &str, value: &str) -> Parameter {
    Parameter { parameter_key: Some(key.to_owned()), parameter_value: Some(value.to_owned()), ..Parameter::default() }
}
