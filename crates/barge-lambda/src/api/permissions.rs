//! A function's resource-based policy.

use super::check_revision;
use crate::LambdaService;
use crate::function::Function;
use crate::names::{Target, resolve};
use crate::policy::{LONGEST, Statement, json};
use crate::registry::Change;
use barge_core::{AwsError, Context};
use barge_wire::lambda::{AddPermissionRequest, GetPolicyRequest, GetPolicyResponse, RemovePermissionRequest, error};

impl LambdaService {
    /// Adds a statement and gives its JSON.
    pub(crate) async fn permit(&self, cx: &Context, request: &AddPermissionRequest) -> Result<String, AwsError> {
        let Target { key, qualifier } = resolve(&cx.scope, &request.function_name, request.qualifier.as_deref())?;
        let refused = [
            ("FunctionUrlAuthType", request.function_url_auth_type.is_some()),
            ("InvokedViaFunctionUrl", request.invoked_via_function_url.is_some()),
        ];
        if let Some((member, _)) = refused.iter().find(|(_, given)| *given) {
            return Err(error::invalid_parameter_value_exception(format!("{member} is not supported by Barge.")));
        }
        let (key, statement) = (&key, Statement::new(request));
        let resource = qualifier.arn(key);
        let shown = statement.document(&resource).to_json();
        let revision = self.shared.ambient.ids.uuid();
        self.shared
            .registry
            .change(key, |old| {
                let mut function = old.ok_or_else(|| key.not_found())?.clone();
                check_revision(request.revision_id.as_ref(), &function.revision)?;
                let policy = function.policy_of(&qualifier).ok_or_else(|| qualifier.not_found(key))?;
                if policy.iter().any(|other| other.sid == statement.sid) {
                    return Err(error::resource_conflict_exception(format!(
                        "The statement id ({}) provided already exists. Please provide a new statement id, or remove \
                         the existing statement.",
                        statement.sid
                    )));
                }
                policy.push(statement);
                let length = json(&resource, policy).len();
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
        let Target { key, qualifier } = resolve(&cx.scope, &request.function_name, request.qualifier.as_deref())?;
        let (key, sid) = (&key, &request.statement_id);
        let revision = self.shared.ambient.ids.uuid();
        self.shared
            .registry
            .change(key, |old| {
                let mut function = old.ok_or_else(|| key.not_found())?.clone();
                check_revision(request.revision_id.as_ref(), &function.revision)?;
                let policy = function.policy_of(&qualifier).ok_or_else(|| qualifier.not_found(key))?;
                let before = policy.len();
                policy.retain(|statement| statement.sid != *sid);
                if policy.len() == before {
                    return Err(error::resource_not_found_exception(format!(
                        "Statement {sid} is not found in resource policy."
                    )));
                }
                function.revision = revision;
                Ok(Change::Store(Box::new(function), ()))
            })
            .await
    }

    /// The statements of the function, version or alias that `name` names.
    pub(crate) fn statements(&self, cx: &Context, name: &str) -> Result<Vec<Statement>, AwsError> {
        let Target { key, qualifier } = resolve(&cx.scope, name, None)?;
        let mut function = Function::clone(&*self.shared.registry.require(&key)?);
        Ok(function.policy_of(&qualifier).ok_or_else(|| qualifier.not_found(&key))?.clone())
    }

    pub(super) fn policy(&self, cx: &Context, request: &GetPolicyRequest) -> Result<GetPolicyResponse, AwsError> {
        let Target { key, qualifier } = resolve(&cx.scope, &request.function_name, request.qualifier.as_deref())?;
        let mut function = Function::clone(&*self.shared.registry.require(&key)?);
        let revision = function.revision.clone();
        let policy = function.policy_of(&qualifier).ok_or_else(|| qualifier.not_found(&key))?;
        if policy.is_empty() {
            return Err(error::resource_not_found_exception("The resource you requested does not exist."));
        }
        Ok(GetPolicyResponse { policy: Some(json(&qualifier.arn(&key), policy)), revision_id: Some(revision) })
    }
}
