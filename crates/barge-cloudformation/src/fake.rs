//! Resource types for tests: their resources live in a map, and tests decide which calls fail or wait.

use async_trait::async_trait;
use barge_core::resource::{
    Creation, Properties, Property, PropertyType, Reading, Resource, ResourceProvider, ResourceSchema, TAG, property,
};
use barge_core::{AwsError, Context, Document};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use tokio::sync::watch;

const PROPERTIES: &[Property] = &[
    property("Name", PropertyType::String).identifies(),
    property("Value", PropertyType::String),
    property("List", PropertyType::List),
    property("Tags", PropertyType::List).of(TAG),
];

/// What the resources and the tests share.
#[derive(Default)]
pub(crate) struct World {
    state: Mutex<Inner>,
    /// Calls about these logical ids wait until they are taken out.
    held: watch::Sender<BTreeSet<String>>,
    /// Counts calls that have begun.
    begun: watch::Sender<usize>,
}

#[derive(Default)]
struct Inner {
    /// By physical id: the token that it was made with and its properties.
    exists: BTreeMap<String, (String, Document)>,
    failing: BTreeSet<String>,
    stuck: BTreeSet<String>,
    /// Physical ids of what the last change of failed.
    half_changed: BTreeSet<String>,
    log: Vec<String>,
    principals: BTreeSet<String>,
}

impl World {
    fn inner(&self) -> std::sync::MutexGuard<'_, Inner> {
        self.state.lock().unwrap()
    }

    /// The creation of this logical id fails.
    pub(crate) fn fail(&self, logical_id: &str) {
        self.inner().failing.insert(logical_id.to_owned());
    }

    /// Deletions of this logical id's resource fail, or no longer do.
    pub(crate) fn stick(&self, logical_id: &str, sticks: bool) {
        let mut inner = self.inner();
        if sticks {
            inner.stuck.insert(logical_id.to_owned())
        } else {
            inner.stuck.remove(logical_id)
        };
    }

    /// Calls about this logical id wait.
    pub(crate) fn hold(&self, logical_id: &str) {
        self.held.send_modify(|held| {
            held.insert(logical_id.to_owned());
        });
    }

    /// They go on.
    pub(crate) fn release(&self, logical_id: &str) {
        self.held.send_modify(|held| {
            held.remove(logical_id);
        });
    }

    /// Waits until `calls` calls in all have begun.
    pub(crate) async fn begun(&self, calls: usize) {
        self.begun.subscribe().wait_for(|begun| *begun >= calls).await.unwrap();
    }

    /// Physical ids of what exists.
    pub(crate) fn exists(&self) -> Vec<String> {
        self.inner().exists.keys().cloned().collect()
    }

    /// The `Value` of what exists, by physical id.
    pub(crate) fn values(&self) -> BTreeMap<String, String> {
        let value = |(_, properties): &(String, Document)| properties.get("Value").and_then(Document::scalar_text);
        self.inner().exists.iter().map(|(id, made)| (id.clone(), value(made).unwrap_or_default())).collect()
    }

    /// Somebody removes a resource, or gives it another `Value`, behind the stack's back.
    pub(crate) fn meddle(&self, physical_id: &str, value: Option<&str>) {
        let mut inner = self.inner();
        match value {
            None => drop(inner.exists.remove(physical_id)),
            Some(value) => {
                if let Some((_, Document::Map(properties))) = inner.exists.get_mut(physical_id) {
                    properties.insert("Value".to_owned(), value.into());
                }
            }
        }
    }

    /// The creation and changes of this logical id no longer fail.
    pub(crate) fn heal(&self, logical_id: &str) {
        self.inner().failing.remove(logical_id);
    }

    /// What was done, e.g. `+Queue`, `~Queue`, `-Queue`.
    pub(crate) fn log(&self) -> Vec<String> {
        self.inner().log.clone()
    }

    /// Whom resources were made for.
    pub(crate) fn principals(&self) -> Vec<String> {
        self.inner().principals.iter().cloned().collect()
    }

    async fn pass(&self, logical_id: &str) {
        self.begun.send_modify(|begun| *begun += 1);
        let mut held = self.held.subscribe();
        held.wait_for(|held| !held.contains(logical_id)).await.unwrap();
    }
}

/// `Fake::Thing` and other types of one world.
pub(crate) struct Fake {
    schema: ResourceSchema,
    world: Arc<World>,
}

pub(crate) fn providers(world: &Arc<World>) -> Vec<Arc<dyn ResourceProvider>> {
    ["Fake::Thing::One", "AWS::IAM::Role"]
        .into_iter()
        .map(|type_name| {
            let schema = ResourceSchema { type_name, properties: PROPERTIES, attributes: &["Arn", "Value"] };
            Arc::new(Fake { schema, world: Arc::clone(world) }) as Arc<dyn ResourceProvider>
        })
        .collect()
}

#[async_trait]
impl ResourceProvider for Fake {
    fn schema(&self) -> &ResourceSchema {
        &self.schema
    }

    async fn create(&self, cx: &Context, creation: &Creation) -> Result<Resource, AwsError> {
        self.world.pass(&creation.logical_id).await;
        let mut inner = self.world.inner();
        inner.principals.insert(cx.principal.arn());
        if inner.failing.contains(&creation.logical_id) {
            return Err(AwsError::new("ThingLimitExceeded", 400, "No more things"));
        }
        let physical_id = match creation.properties.get("Name").and_then(Document::as_str) {
            Some(name) => name.to_owned(),
            None => creation.physical_name(64),
        };
        let made = (creation.token.clone(), creation.properties.clone());
        match inner.exists.get(&physical_id) {
            Some((token, _)) if *token != creation.token => {
                return Err(AwsError::new("ThingAlreadyExists", 409, format!("{physical_id} already exists")));
            }
            Some(_) => {}
            None => {
                inner.exists.insert(physical_id.clone(), made);
                inner.log.push(format!("+{}", creation.logical_id));
            }
        }
        let value = creation.properties.get("Value").cloned().unwrap_or_else(|| "none".into());
        let attributes = [("Arn", format!("arn:thing/{physical_id}").into()), ("Value", value)];
        Ok(Resource { physical_id, attributes: attributes.map(|(name, value)| (name.to_owned(), value)).into() })
    }

    async fn update(
        &self,
        _: &Context,
        physical_id: &str,
        old: &Properties,
        new: &Creation,
    ) -> Result<Resource, AwsError> {
        self.world.pass(&new.logical_id).await;
        let mut inner = self.world.inner();
        let value = new.properties.get("Value").cloned().unwrap_or_else(|| "none".into());
        if inner.failing.contains(&new.logical_id) || value.as_str() == Some("bad") {
            inner.half_changed.insert(physical_id.to_owned());
            return Err(AwsError::new("ThingLimitExceeded", 400, "No more things"));
        }
        let half_changed = inner.half_changed.remove(physical_id);
        let Some((_, properties)) = inner.exists.get_mut(physical_id) else {
            return Err(AwsError::new("ThingNotFound", 404, format!("{physical_id} does not exist")));
        };
        // A change made twice, after a crash, finds what it made.
        assert!(half_changed || properties == old || *properties == new.properties, "{properties:?} is not {old:?}");
        *properties = new.properties.clone();
        inner.log.push(format!("~{}", new.logical_id));
        let attributes = [("Arn", format!("arn:thing/{physical_id}").into()), ("Value", value)];
        let attributes = attributes.map(|(name, value)| (name.to_owned(), value)).into();
        Ok(Resource { physical_id: physical_id.to_owned(), attributes })
    }

    async fn delete(&self, _: &Context, physical_id: &str, _: &Properties) -> Result<(), AwsError> {
        let token = self.world.inner().exists.get(physical_id).map(|(token, _)| token.clone());
        let logical_id = token.as_deref().and_then(|token| token.rsplit('/').next()).unwrap_or_default().to_owned();
        self.world.pass(&logical_id).await;
        let mut inner = self.world.inner();
        if inner.stuck.contains(&logical_id) {
            return Err(AwsError::new("ThingNotEmpty", 409, "The thing is not empty"));
        }
        if inner.exists.remove(physical_id).is_some() {
            inner.log.push(format!("-{logical_id}"));
        }
        Ok(())
    }

    async fn read(&self, _: &Context, physical_id: &str, _: &Properties) -> Result<Option<Reading>, AwsError> {
        let made = self.world.inner().exists.get(physical_id).map(|(_, properties)| properties.clone());
        let resource = Resource { physical_id: physical_id.to_owned(), attributes: BTreeMap::new() };
        Ok(made.map(|properties| Reading { resource, properties: Some(properties) }))
    }
}
