//! `AWS::Lambda::Permission` (CloudFormation Template Reference).

use crate::LambdaService;
use async_trait::async_trait;
use barge_core::resource::{
    Creation, Properties, Property, PropertyType, Reading, Resource, ResourceProvider, ResourceSchema, property,
};
use barge_core::{AwsError, Context, Document};
use barge_wire::from_properties;
use barge_wire::lambda::{AddPermissionRequest, RemovePermissionRequest};
use std::collections::BTreeMap;
use std::sync::Arc;

const SCHEMA: ResourceSchema =
    ResourceSchema { type_name: "AWS::Lambda::Permission", properties: &PROPERTIES, attributes: &["Id"] };

const PROPERTIES: [Property; 7] = [
    property("Action", PropertyType::String).required().replaces(),
    property("FunctionName", PropertyType::String).required().replaces(),
    property("Principal", PropertyType::String).required().replaces(),
    property("SourceArn", PropertyType::String).replaces(),
    property("SourceAccount", PropertyType::String).replaces(),
    property("EventSourceToken", PropertyType::String).replaces(),
    property("PrincipalOrgID", PropertyType::String).replaces(),
];

/// Characters of a statement's id.
const LONGEST_ID: usize = 100;

/// The provider.
pub(super) struct PermissionResource {
    service: Arc<LambdaService>,
}

impl PermissionResource {
    pub(super) fn new(service: Arc<LambdaService>) -> Self {
        Self { service }
    }
}

#[async_trait]
impl ResourceProvider for PermissionResource {
    fn schema(&self) -> &ResourceSchema {
        &SCHEMA
    }

    async fn create(&self, cx: &Context, creation: &Creation) -> Result<Resource, AwsError> {
        // Derived from the creation's token: a statement with this id is this creation's.
        let id = creation.physical_name(LONGEST_ID);
        let members = creation.properties.as_map().into_iter().flatten();
        let members = members.map(|(name, value)| (name.clone(), value.clone()));
        let named = ("StatementId".to_owned(), Document::from(id.as_str()));
        let request: AddPermissionRequest = from_properties(&Document::map(members.chain([named])))?;
        match self.service.permit(cx, &request).await {
            Err(error) if !error.is("ResourceConflictException") => Err(error),
            _ => Ok(resource(&id)),
        }
    }

    async fn update(&self, _: &Context, physical_id: &str, _: &Properties, _: &Creation) -> Result<Resource, AwsError> {
        // Every property replaces the resource.
        Ok(resource(physical_id))
    }

    async fn delete(&self, cx: &Context, physical_id: &str, properties: &Properties) -> Result<(), AwsError> {
        let request = RemovePermissionRequest {
            function_name: function_name(properties),
            statement_id: physical_id.to_owned(),
            ..RemovePermissionRequest::default()
        };
        match self.service.forbid(cx, &request).await {
            Err(error) if !error.is("ResourceNotFoundException") => Err(error),
            _ => Ok(()),
        }
    }

    async fn read(
        &self,
        cx: &Context,
        physical_id: &str,
        properties: &Properties,
    ) -> Result<Option<Reading>, AwsError> {
        let function = function_name(properties);
        match self.service.statements(cx, &function) {
            Ok(statements) => {
                let found = statements.into_iter().find(|statement| statement.sid == physical_id);
                Ok(found.map(|statement| {
                    let kept = [
                        ("Action", statement.action.into()),
                        ("FunctionName", function.into()),
                        ("Principal", statement.principal.into()),
                        ("SourceArn", statement.source_arn.into()),
                        ("SourceAccount", statement.source_account.into()),
                        ("EventSourceToken", statement.event_source_token.into()),
                        ("PrincipalOrgID", statement.principal_org_id.into()),
                    ];
                    Reading::new(&SCHEMA, resource(physical_id), Document::map(kept))
                }))
            }
            Err(error) if error.is("ResourceNotFoundException") => Ok(None),
            Err(error) => Err(error),
        }
    }
}

fn function_name(properties: &Properties) -> String {
    properties.get("FunctionName").and_then(Document::scalar_text).unwrap_or_default()
}

fn resource(id: &str) -> Resource {
    Resource { physical_id: id.to_owned(), attributes: BTreeMap::from([("Id".to_owned(), Document::from(id))]) }
}
