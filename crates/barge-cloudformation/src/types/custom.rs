//! `AWS::CloudFormation::CustomResource` and `Custom::…`: resources that a function makes, changes and removes
//! (CloudFormation Template Reference, "Custom resource request types"). The function is invoked durably and answers to a
//! URL that it is given.

use super::mailbox::{self, Mailbox};
use super::{Home, failed};
use crate::CloudFormation;
use crate::engine::{self, NO_ECHO};
use async_trait::async_trait;
use barge_core::ports::InvocationMode;
use barge_core::resource::{
    Creation, Properties, Property, PropertyType, Reading, Resource, ResourceProvider, ResourceSchema, property,
};
use barge_core::{Arn, AwsError, Context, Document};
use indexmap::IndexMap;
use std::collections::BTreeMap;
use std::time::Duration;

/// How long a function may take to answer, in seconds, where the template says nothing else; also the most that it can
/// say (same page, "ServiceTimeout").
const LONGEST: u64 = 3600;

pub(super) struct CustomResource {
    pub(super) home: Home,
}

const PROPERTIES: &[Property] = &[
    property("ServiceToken", PropertyType::String).required(),
    property("ServiceTimeout", PropertyType::Integer),
    // Whatever the function wants to know.
    property("*", PropertyType::String),
];
pub(crate) const TYPE: &str = "AWS::CloudFormation::CustomResource";
const SCHEMA: ResourceSchema = ResourceSchema { type_name: TYPE, properties: PROPERTIES, attributes: &["*"] };

/// What a function is asked.
struct Request<'a> {
    kind: &'static str,
    creation: &'a Creation,
    physical_id: Option<&'a str>,
    old: Option<&'a Properties>,
}

/// What a function answered.
#[derive(Debug)]
struct Answer {
    physical_id: Option<String>,
    attributes: BTreeMap<String, Document>,
    /// Why it failed.
    failure: Option<String>,
}

impl Answer {
    fn read(letter: &Document) -> Self {
        let text = |member: &str| letter.get(member).and_then(Document::scalar_text);
        let data = letter.get("Data").and_then(Document::as_map).cloned().unwrap_or_default();
        let mut attributes: BTreeMap<String, Document> =
            data.into_iter().filter(|(name, value)| name != NO_ECHO && *value != Document::Null).collect();
        if text("NoEcho").is_some_and(|flag| flag.eq_ignore_ascii_case("true")) {
            attributes.insert(NO_ECHO.to_owned(), Document::Bool(true));
        }
        let succeeded = text("Status").as_deref() == Some("SUCCESS");
        Self {
            physical_id: text("PhysicalResourceId").filter(|id| !id.is_empty()),
            attributes,
            failure: (!succeeded).then(|| text("Reason").unwrap_or_default()),
        }
    }
}

/// Properties as functions are given them: every scalar is text.
fn as_texts(value: &Document) -> Document {
    match value {
        Document::List(list) => Document::List(list.iter().map(as_texts).collect()),
        Document::Map(map) => Document::Map(map.iter().map(|(key, value)| (key.clone(), as_texts(value))).collect()),
        scalar => scalar.scalar_text().map_or(Document::Null, Document::String),
    }
}

impl CustomResource {
    async fn ask(&self, cx: &Context, request: Request<'_>) -> Result<Answer, AwsError> {
        let service = self.home.service()?;
        let properties = &request.creation.properties;
        let timeout = properties.get("ServiceTimeout").and_then(Document::scalar_text);
        let timeout = timeout.map_or(Ok(LONGEST), |text| text.trim().parse());
        let timeout = timeout.ok().filter(|seconds| (1..=LONGEST).contains(seconds));
        let timeout = timeout.ok_or_else(|| failed(format!("ServiceTimeout must be a number from 1 to {LONGEST}")))?;
        let mailbox = mailbox::open(&service, &cx.request_id, &request.creation.stack_id).await?;
        if !mailbox.sent {
            let payload = payload(&service, cx, &request, &mailbox).await?;
            let token = properties.get("ServiceToken").and_then(Document::as_str).unwrap_or_default();
            let function: Arn = token.parse().map_err(|_| failed(format!("Invalid service token {token}")))?;
            if function.service != "lambda" {
                return Err(AwsError::not_implemented("AWS CloudFormation", "custom resources other than functions"));
            }
            let body = payload.to_json().into_bytes().into();
            service.ports().functions.invoke(&function, body, InvocationMode::Event).await?;
            mailbox::mark_sent(&service, &mailbox).await?;
        }
        let limit = Duration::from_secs(timeout);
        let read = |letters: &[Document]| letters.first().map(Answer::read);
        let answer = mailbox::wait(&service, &mailbox.token, mailbox.created, limit, read).await?;
        let answer = answer.ok_or_else(|| {
            failed(format!(
                "CloudFormation did not receive a response from your Custom Resource. Please check your logs for \
                 requestId [{}]. If you are using the Python cfn-response module, you may need to update your Lambda \
                 function code so that CloudFormation can attach the updated version.",
                cx.request_id
            ))
        })?;
        match answer.failure {
            None => Ok(answer),
            Some(reason) => Err(failed(format!(
                "Received response status [FAILED] from custom resource. Message returned: {reason} (RequestId: {})",
                cx.request_id
            ))),
        }
    }
}

async fn payload(
    service: &CloudFormation,
    cx: &Context,
    request: &Request<'_>,
    mailbox: &Mailbox,
) -> Result<Document, AwsError> {
    let Request { kind, creation, physical_id, old } = request;
    let (stack, logical_id) = (creation.stack_id.clone(), creation.logical_id.clone());
    let records = service.engine().store().read(move |db| engine::resources(db, &stack)).await?;
    let type_name = records.into_iter().find(|record| record.logical_id == logical_id).map(|record| record.type_name);
    let token = creation.properties.get("ServiceToken").cloned().unwrap_or_default();
    let mut payload: IndexMap<String, Document> = IndexMap::from([
        ("RequestType".to_owned(), Document::from(*kind)),
        ("ServiceToken".to_owned(), token),
        ("ResponseURL".to_owned(), mailbox.url(service).into()),
        ("StackId".to_owned(), creation.stack_id.as_str().into()),
        ("RequestId".to_owned(), cx.request_id.as_str().into()),
        ("LogicalResourceId".to_owned(), creation.logical_id.as_str().into()),
        ("ResourceType".to_owned(), type_name.unwrap_or_else(|| TYPE.to_owned()).into()),
        ("ResourceProperties".to_owned(), as_texts(&creation.properties)),
    ]);
    if let Some(physical_id) = physical_id {
        payload.insert("PhysicalResourceId".to_owned(), (*physical_id).into());
    }
    if let Some(old) = old {
        payload.insert("OldResourceProperties".to_owned(), as_texts(old));
    }
    Ok(Document::Map(payload))
}

#[async_trait]
impl ResourceProvider for CustomResource {
    fn schema(&self) -> &ResourceSchema {
        &SCHEMA
    }

    async fn create(&self, cx: &Context, creation: &Creation) -> Result<Resource, AwsError> {
        let answer = self.ask(cx, Request { kind: "Create", creation, physical_id: None, old: None }).await?;
        let physical_id = answer.physical_id.ok_or_else(|| failed("Invalid PhysicalResourceId"))?;
        Ok(Resource { physical_id, attributes: answer.attributes })
    }

    async fn update(
        &self,
        cx: &Context,
        physical_id: &str,
        old: &Properties,
        new: &Creation,
    ) -> Result<Resource, AwsError> {
        if old.get("ServiceToken") != new.properties.get("ServiceToken") {
            return Err(failed("Modifying service token is not allowed."));
        }
        let request = Request { kind: "Update", creation: new, physical_id: Some(physical_id), old: Some(old) };
        let answer = self.ask(cx, request).await?;
        let physical_id = answer.physical_id.unwrap_or_else(|| physical_id.to_owned());
        Ok(Resource { physical_id, attributes: answer.attributes })
    }

    async fn delete(&self, _: &Context, _: &str, _: &Properties) -> Result<(), AwsError> {
        Err(AwsError::internal("a custom resource is removed by its creation"))
    }

    async fn remove(&self, cx: &Context, physical_id: &str, made: &Creation) -> Result<(), AwsError> {
        let request = Request { kind: "Delete", creation: made, physical_id: Some(physical_id), old: None };
        self.ask(cx, request).await.map(drop)
    }

    /// A function that was asked to make something may have made it, whatever it answered: it is asked to remove it.
    async fn remains(&self, cx: &Context, creation: &Creation) -> Option<String> {
        let service = self.home.service().ok()?;
        let mailbox = mailbox::find(&service, &cx.request_id).await.ok()??;
        let letters = mailbox::letters(&service, &mailbox.token).await.ok()?;
        let told = letters.first().and_then(|letter| Answer::read(letter).physical_id);
        mailbox.sent.then(|| told.unwrap_or_else(|| creation.physical_name(64)))
    }

    async fn read(&self, _: &Context, physical_id: &str, _: &Properties) -> Result<Option<Reading>, AwsError> {
        Ok(Some(Reading::presence(Resource { physical_id: physical_id.to_owned(), attributes: BTreeMap::new() })))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_get_texts() {
        let value = Document::from_json(br#"{"a": 1, "b": [true, {"c": 0.5}]}"#).unwrap();
        assert_eq!(as_texts(&value).to_json(), r#"{"a":"1","b":["true",{"c":"0.5"}]}"#);
    }

    #[test]
    fn answers_are_read() {
        let answer = |text: &str| Answer::read(&Document::from_json(text.as_bytes()).unwrap());
        let good = answer(r#"{"Status": "SUCCESS", "PhysicalResourceId": "p", "Data": {"A": 1}, "NoEcho": true}"#);
        assert!(good.failure.is_none() && good.attributes.contains_key(NO_ECHO));
        assert_eq!((good.physical_id.as_deref(), good.attributes.get("A")), (Some("p"), Some(&Document::Integer(1))));
        assert_eq!(answer(r#"{"Status": "FAILED", "Reason": "no"}"#).failure.as_deref(), Some("no"));
        assert!(answer("{}").failure.is_some());
    }
}
