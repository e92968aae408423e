//! `AWS::CloudFormation::WaitConditionHandle` and `WaitCondition`: a URL, and waiting until enough signals have come to it
//! (CloudFormation User Guide, "Create wait conditions in a CloudFormation template").

use super::{Home, failed, mailbox};
use async_trait::async_trait;
use barge_core::resource::{
    Creation, Properties, Property, PropertyType, Reading, Resource, ResourceProvider, ResourceSchema, property,
};
use barge_core::{AwsError, Context, Document};
use indexmap::IndexMap;
use std::collections::BTreeMap;
use std::time::Duration;

/// The longest wait, in seconds (CloudFormation Template Reference, "AWS::CloudFormation::WaitCondition", "Timeout").
const LONGEST: u64 = 43_200;

pub(super) struct WaitHandle {
    pub(super) home: Home,
}

const HANDLE: ResourceSchema =
    ResourceSchema { type_name: "AWS::CloudFormation::WaitConditionHandle", properties: &[], attributes: &[] };

#[async_trait]
impl ResourceProvider for WaitHandle {
    fn schema(&self) -> &ResourceSchema {
        &HANDLE
    }

    async fn create(&self, _: &Context, creation: &Creation) -> Result<Resource, AwsError> {
        let service = self.home.service()?;
        let mailbox = mailbox::open(&service, &creation.token, &creation.stack_id).await?;
        Ok(Resource { physical_id: mailbox.url(&service), attributes: BTreeMap::new() })
    }

    async fn update(&self, _: &Context, physical_id: &str, _: &Properties, _: &Creation) -> Result<Resource, AwsError> {
        Ok(Resource { physical_id: physical_id.to_owned(), attributes: BTreeMap::new() })
    }

    async fn delete(&self, _: &Context, _: &str, _: &Properties) -> Result<(), AwsError> {
        Ok(())
    }

    async fn remove(&self, _: &Context, _: &str, made: &Creation) -> Result<(), AwsError> {
        mailbox::close(&*self.home.service()?, &made.token).await
    }

    async fn read(&self, _: &Context, physical_id: &str, _: &Properties) -> Result<Option<Reading>, AwsError> {
        Ok(Some(Reading::presence(Resource { physical_id: physical_id.to_owned(), attributes: BTreeMap::new() })))
    }
}

pub(super) struct WaitCondition {
    pub(super) home: Home,
}

const CONDITION_PROPERTIES: &[Property] = &[
    property("Count", PropertyType::Integer),
    property("Handle", PropertyType::String).required(),
    property("Timeout", PropertyType::Integer).required(),
];
const CONDITION: ResourceSchema = ResourceSchema {
    type_name: "AWS::CloudFormation::WaitCondition",
    properties: CONDITION_PROPERTIES,
    attributes: &["Data"],
};

/// What has come of a wait.
#[derive(Debug, PartialEq, Eq)]
enum Outcome {
    /// Data by unique id.
    Enough(BTreeMap<String, String>),
    Failure(String),
}

fn text(letter: &Document, member: &str) -> String {
    letter.get(member).and_then(Document::scalar_text).unwrap_or_default()
}

/// The data of the signals that tell of success, by unique id; of two with one id the first counts.
fn successes(letters: &[Document]) -> BTreeMap<String, String> {
    let mut data = BTreeMap::new();
    for letter in letters.iter().filter(|letter| text(letter, "Status") == "SUCCESS") {
        data.entry(text(letter, "UniqueId")).or_insert_with(|| text(letter, "Data"));
    }
    data
}

/// What the signals so far come to, where `count` are expected; `None` where that is not decided.
fn outcome(letters: &[Document], count: usize) -> Option<Outcome> {
    if let Some(failure) = letters.iter().find(|letter| text(letter, "Status") == "FAILURE") {
        return Some(Outcome::Failure(format!(
            "WaitCondition received failed message: '{}' for uniqueId: {}",
            text(failure, "Reason"),
            text(failure, "UniqueId")
        )));
    }
    let data = successes(letters);
    (data.len() >= count).then_some(Outcome::Enough(data))
}

fn number(properties: &Properties, name: &str) -> Option<u64> {
    properties.get(name).and_then(Document::scalar_text)?.trim().parse().ok()
}

#[async_trait]
impl ResourceProvider for WaitCondition {
    fn schema(&self) -> &ResourceSchema {
        &CONDITION
    }

    async fn create(&self, cx: &Context, creation: &Creation) -> Result<Resource, AwsError> {
        let service = self.home.service()?;
        let count = number(&creation.properties, "Count").unwrap_or(1);
        let timeout = number(&creation.properties, "Timeout").filter(|seconds| *seconds <= LONGEST);
        let timeout = timeout
            .ok_or_else(|| failed(format!("Timeout must be a number of seconds less than or equal to {LONGEST}")))?;
        let handle = creation.properties.get("Handle").and_then(Document::as_str).unwrap_or_default();
        let token = handle.rsplit('/').next().unwrap_or_default();
        // The wait's own mailbox holds the moment at which it began; no letter goes there.
        let began = mailbox::open(&service, &cx.request_id, &creation.stack_id).await?.created;
        let wanted = usize::try_from(count).unwrap_or(usize::MAX);
        let read = |letters: &[Document]| outcome(letters, wanted);
        match mailbox::wait(&service, token, began, Duration::from_secs(timeout), read).await? {
            Some(Outcome::Enough(data)) => {
                let data: IndexMap<String, Document> = data.into_iter().map(|(id, text)| (id, text.into())).collect();
                let stack = creation.stack_id.replacen(":stack/", ":waitcondition/", 1);
                Ok(Resource {
                    physical_id: format!("{stack}/{}", creation.logical_id),
                    attributes: BTreeMap::from([("Data".to_owned(), Document::Map(data).to_json().into())]),
                })
            }
            Some(Outcome::Failure(reason)) => Err(failed(reason)),
            None => {
                let letters = mailbox::letters(&service, token).await?;
                let came = successes(&letters).len();
                Err(failed(format!("WaitCondition timed out. Received {came} conditions when expecting {count}")))
            }
        }
    }

    async fn update(&self, _: &Context, _: &str, _: &Properties, _: &Creation) -> Result<Resource, AwsError> {
        Err(failed("Update to resource type AWS::CloudFormation::WaitCondition is not supported."))
    }

    async fn delete(&self, _: &Context, _: &str, _: &Properties) -> Result<(), AwsError> {
        Ok(())
    }

    async fn read(&self, _: &Context, physical_id: &str, _: &Properties) -> Result<Option<Reading>, AwsError> {
        Ok(Some(Reading::presence(Resource { physical_id: physical_id.to_owned(), attributes: BTreeMap::new() })))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_unique_id_counts_once_and_a_failure_ends_the_wait() {
        let letter = |status: &str, id: &str| {
            Document::map([("Status", status.into()), ("UniqueId", id.into()), ("Reason", "why".into())])
        };
        let two = [letter("SUCCESS", "a"), letter("SUCCESS", "a"), letter("other", "x")];
        assert_eq!(outcome(&two, 2), None);
        assert!(matches!(outcome(&two, 1), Some(Outcome::Enough(data)) if data.len() == 1));
        let failed = [letter("SUCCESS", "a"), letter("FAILURE", "b")];
        let reason = "WaitCondition received failed message: 'why' for uniqueId: b".to_owned();
        assert_eq!(outcome(&failed, 1), Some(Outcome::Failure(reason)));
    }
}
