//! A function's resource-based policy.

use super::check_revision;
use crate::LambdaService;
use crate::policy::{LONGEST, Statement, json};
use crate::registry::Change;
use barge_core::{AwsError, Context};
use barge_wire::lambda::{AddPermissionRequest, GetPolicyRequest, GetPolicyResponse, RemovePermissionRequest, error};

impl LambdaService {
    /// Adds a statement and gives its JSON.
    pub(crate) async fn permit(&self, cx: &Context, request: &AddPermissionRequest) -> Result<String, AwsError> {
        let (function, _) = self.find(cx, &request.function_name, request.qualifier.as_deref())?;
        let refused = [
            ("FunctionUrlAuthType", request.function_url_auth_type.is_some()),
            ("InvokedViaFunctionUrl", request.invoked_via_function_url.is_some()),
        ];
        if let Some((member, _)) = refused.iter().find(|(_, given)| *given) {
            return Err(error::invalid_parameter_value_exception(format!("{member} is not supported by Barge.")));
        }
        let (key, statement) = (&function.key, Statement::new(request));
        let shown = statement.document(key).to_json();
        let revision = self.shared.ambient.ids.uuid();
        self.shared
            .registry
            .change(key, |old| {
                let mut function = old.ok_or_else(|| key.not_found())?.clone();
                check_revision(request.revision_id.as_ref(), &function.revision)?;
                if function.policy.iter().any(|other| other.sid == statement.sid) {
                    return Err(error::resource_conflict_exception(format!(
                        "The statement id ({}) provided already exists. Please provide a new statement id, or remove \
                         the existing statement.",
                        statement.sid
                    )));
                }
                function.policy.push(statement);
                let length = json(key, &function.policy).len();
                if length > LONGEST {
                    return Err(error::policy_length_exceeded_exception(format!(
                        "The final policy size ({length}) is bigger than the limit ({LONGEST})."
                    )));
                }
                function.revision = revision;
                Ok(Change::Store(Box::new(function), ()))
            })
            .await?;
        Ok(shown)
    }

    pub(crate) async fn forbid(&self, cx: &Context, request: &RemovePermissionRequest) -> Result<(), AwsError> {
        let (function, _) = self.find(cx, &request.function_name, request.qualifier.as_deref())?;
        let (key, sid) = (&function.key, &request.statement_id);
        let revision = self.shared.ambient.ids.uuid();
        self.shared
            .registry
            .change(key, |old| {
                let mut function = old.ok_or_else(|| key.not_found())?.clone();
                check_revision(request.revision_id.as_ref(), &function.revision)?;
                let before = function.policy.len();
                function.policy.retain(|statement| statement.sid != *sid);
                if function.policy.len() == before {
                    return Err(error::resource_not_found_exception(format!(
                        "Statement {sid} is not found in resource policy."
                    )));
                }
                function.revision = revision;
                Ok(Change::Store(Box::new(function), ()))
            })
            .await
    }

    pub(super) fn policy(&self, cx: &Context, request: &GetPolicyRequest) -> Result<GetPolicyResponse, AwsError> {
        let (function, _) = self.find(cx, &request.function_name, request.qualifier.as_deref())?;
        if function.policy.is_empty() {
            return Err(error::resource_not_found_exception("The resource you requested does not exist."));
        }
        Ok(GetPolicyResponse {
            policy: Some(json(&function.key, &function.policy)),
            revision_id: Some(function.revision.clone()),
        })
    }
}
