//! Stories through the operations, over resource types that live in memory.

mod change_sets;
mod custom;
mod drift;
mod exports;
mod failures;
mod lives;
mod nested;
mod restarts;
mod templates;
mod updates;

use super::{CloudFormation, Ports};
use crate::Registry;
use crate::fake::{World, providers};
use async_trait::async_trait;
use barge_core::clock::ManualClock;
use barge_core::ids::SeededIds;
use barge_core::ports::{
    AccessKey, CredentialIssuer, Credentials, FunctionInvoker, Invocation, InvocationMode, KeyDirectory, ObjectStore,
    StoredObject,
};
use barge_core::{AccountId, Ambient, Arn, AwsError, Context, Document, Principal, Scope, Timestamp};
use barge_store::Store;
use barge_wire::cloudformation::{CloudFormation as _, *};
use bytes::Bytes;
use std::collections::BTreeMap;
use std::io::{Seek as _, Write as _};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::watch;

const THING: &str = "Fake::Thing::One";

/// A service on a database of its own.
struct House {
    service: Arc<CloudFormation>,
    world: Arc<World>,
    objects: Arc<Objects>,
    functions: Arc<Functions>,
    cx: Context,
}

/// The bucket `b`, whose objects tests put there; `t.yaml` is there from the beginning.
struct Objects(Mutex<BTreeMap<String, String>>);

impl Default for Objects {
    fn default() -> Self {
        let text = format!("Description: stored\nResources: {{A: {{Type: '{THING}'}}}}");
        Self(Mutex::new(BTreeMap::from([("t.yaml".to_owned(), text)])))
    }
}

impl Objects {
    fn put(&self, key: &str, text: impl Into<String>) {
        self.0.lock().unwrap().insert(key.to_owned(), text.into());
    }
}

#[async_trait]
impl ObjectStore for Objects {
    async fn object(&self, _: &Scope, bucket: &str, key: &str) -> Result<StoredObject, AwsError> {
        let text = self.0.lock().unwrap().get(key).cloned().filter(|_| bucket == "b");
        let text = text.ok_or_else(|| AwsError::new("NoSuchKey", 404, "The specified key does not exist."))?;
        let mut file = tempfile::tempfile().map_err(AwsError::internal)?;
        file.write_all(text.as_bytes()).and_then(|()| file.rewind()).map_err(AwsError::internal)?;
        Ok(StoredObject { file, size: text.len() as u64 })
    }
}

/// Every role but `missing`.
struct Roles;

#[async_trait]
impl CredentialIssuer for Roles {
    async fn issue(&self, role: &Arn, _: &str, _: Duration) -> Result<Credentials, AwsError> {
        let name = role.resource_name("role").filter(|name| *name != "missing");
        let name = name.ok_or_else(|| AwsError::new("NoSuchEntity", 404, "no such role"))?;
        Ok(Credentials {
            access_key_id: name.to_owned(),
            secret_access_key: String::new(),
            session_token: String::new(),
            expiration: Timestamp::default(),
        })
    }

    async fn issue_anonymous(&self, _: &Scope, _: &str, _: Duration) -> Result<Credentials, AwsError> {
        Err(AwsError::new("NoSuchEntity", 404, "no such role"))
    }
}

impl KeyDirectory for Roles {
    fn access_key(&self, id: &str) -> Option<AccessKey> {
        let arn = format!("arn:aws:sts::000000000000:assumed-role/{id}/AWSCloudFormation").parse().ok()?;
        Some(AccessKey {
            secret_access_key: String::new(),
            session_token: None,
            principal: Principal::AssumedRole { arn, user_id: "AROA".to_owned() },
            account: AccountId::default(),
            expiration: None,
        })
    }
}

/// Functions that do nothing but keep their events; the function `missing` is not there.
#[derive(Default)]
struct Functions(watch::Sender<Vec<Document>>);

impl Functions {
    /// The event number `index`, once it has come.
    async fn event(&self, index: usize) -> Document {
        self.0.subscribe().wait_for(|events| events.len() > index).await.unwrap()[index].clone()
    }
}

#[async_trait]
impl FunctionInvoker for Functions {
    async fn invoke(&self, function: &Arn, payload: Bytes, _: InvocationMode) -> Result<Invocation, AwsError> {
        if function.resource.ends_with("missing") {
            return Err(AwsError::new("ResourceNotFoundException", 404, format!("Function not found: {function}")));
        }
        self.0.send_modify(|events| events.push(Document::from_json(&payload).unwrap()));
        Ok(Invocation::default())
    }

    async fn permits(&self, _: &Arn, _: &str, _: &Arn, _: &str) -> Result<bool, AwsError> {
        Ok(false)
    }
}

fn house(dir: &tempfile::TempDir) -> House {
    house_at(dir, Arc::default(), 0)
}

/// A house whose clock stands still at `minute`.
fn house_at(dir: &tempfile::TempDir, world: Arc<World>, minute: i64) -> House {
    // Most tests look at stacks that wait.
    patient_house(dir, world, minute, Duration::ZERO)
}

fn patient_house(dir: &tempfile::TempDir, world: Arc<World>, minute: i64, patience: Duration) -> House {
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
    let (objects, functions) = (Arc::<Objects>::default(), Arc::<Functions>::default());
    let ports = Ports {
        objects: Arc::clone(&objects) as _,
        functions: Arc::clone(&functions) as _,
        credentials: Arc::new(Roles),
        keys: Arc::new(Roles),
        parameters: None,
    };
    let service = CloudFormation::patient(store, ambient, registry, ports, patience).unwrap();
    House { service, world, objects, functions, cx }
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
