//! When a function's runtime is updated (Lambda Developer Guide, "Understanding how Lambda manages runtime version updates").
//! The runtime is the host's interpreter, so that it is only noted, and a version of AWS's runtimes cannot be had.

use crate::LambdaService;
use crate::function::Function;
use crate::names::{FunctionKey, LATEST, Qualifier, Target, resolve};
use crate::registry::Change;
use barge_core::{AwsError, Context};
use barge_wire::lambda::{
    GetRuntimeManagementConfigRequest, GetRuntimeManagementConfigResponse, PutRuntimeManagementConfigRequest,
    PutRuntimeManagementConfigResponse, UpdateRuntimeOn, error,
};
use std::sync::Arc;

impl LambdaService {
    /// The function, and the name of the version that a request means.
    fn managed(&self, cx: &Context, name: &str, given: Option<&str>) -> Result<(Arc<Function>, String), AwsError> {
        let Target { key, qualifier } = resolve(&cx.scope, name, given)?;
        let function = self.shared.registry.require(&key)?;
        if let Qualifier::Alias(alias) = &qualifier {
            return Err(error::invalid_parameter_value_exception(format!(
                "Qualifier {alias} must be a version number or {LATEST}."
            )));
        }
        function.pointed(&qualifier, 1.0).ok_or_else(|| qualifier.not_found(&key))?;
        Ok((function, qualifier.text().unwrap_or_else(|| LATEST.to_owned())))
    }

    pub(crate) async fn manage_runtime(
        &self,
        cx: &Context,
        request: &PutRuntimeManagementConfigRequest,
    ) -> Result<PutRuntimeManagementConfigResponse, AwsError> {
        if request.update_runtime_on == UpdateRuntimeOn::Manual || request.runtime_version_arn.is_some() {
            return Err(error::invalid_parameter_value_exception(
                "UpdateRuntimeOn Manual with a RuntimeVersionArn is not supported by Barge.",
            ));
        }
        let (function, version) = self.managed(cx, &request.function_name, request.qualifier.as_deref())?;
        let (key, wanted) = (&function.key, request.update_runtime_on);
        let function_arn = arn(key, &version);
        let changed = self.shared.registry.change(key, |old| {
            let mut function = old.ok_or_else(|| key.not_found())?.clone();
            function.runtime_updates.insert(version, wanted);
            Ok(Change::Store(Box::new(function), ()))
        });
        changed.await?;
        Ok(PutRuntimeManagementConfigResponse { update_runtime_on: wanted, function_arn, runtime_version_arn: None })
    }

    pub(super) fn runtime_management(
        &self,
        cx: &Context,
        request: &GetRuntimeManagementConfigRequest,
    ) -> Result<GetRuntimeManagementConfigResponse, AwsError> {
        let (function, version) = self.managed(cx, &request.function_name, request.qualifier.as_deref())?;
        Ok(GetRuntimeManagementConfigResponse {
            update_runtime_on: Some(function.runtime_updates.get(&version).copied().unwrap_or(UpdateRuntimeOn::Auto)),
            function_arn: Some(arn(&function.key, &version)),
            runtime_version_arn: None,
        })
    }
}

fn arn(key: &FunctionKey, version: &str) -> String {
    Qualifier::parse(version).arn(key)
}
