//! Lambda as event sources see it.

use crate::LambdaService;
use crate::function::Function;
use crate::instance::Verdict;
use crate::names::{Qualifier, Target, resolve};
use crate::policy;
use async_trait::async_trait;
use barge_core::ports::{FunctionInvoker, Invocation, InvocationMode};
use barge_core::{Arn, AwsError};
use barge_wire::lambda::error;
use bytes::Bytes;
use std::sync::Arc;

impl LambdaService {
    /// The function that an ARN names, and what the ARN names of it.
    fn by_arn(&self, arn: &Arn) -> Result<(Arc<Function>, Qualifier), AwsError> {
        let not_found = || error::resource_not_found_exception(format!("Function not found: {arn}"));
        let scope = arn.scope().ok_or_else(not_found)?;
        let Target { key, qualifier } = resolve(&scope, &arn.to_string(), None)?;
        Ok((self.shared.registry.require(&key)?, qualifier))
    }
}

#[async_trait]
impl FunctionInvoker for LambdaService {
    async fn invoke(&self, function: &Arn, payload: Bytes, mode: InvocationMode) -> Result<Invocation, AwsError> {
        let (whole, qualifier) = self.by_arn(function)?;
        let request_id = self.shared.ambient.ids.uuid();
        match mode {
            InvocationMode::Event => {
                self.queue(&whole, &qualifier, &request_id, payload).await?;
                Ok(Invocation::default())
            }
            InvocationMode::RequestResponse => {
                let function = whole.pointed(&qualifier, self.shared.chance());
                let function = function.ok_or_else(|| qualifier.not_found(&whole.key))?;
                let outcome = self.answer(&function, &request_id, payload, None).await?;
                let function_error = (outcome.verdict == Verdict::Failed).then(|| "Unhandled".to_owned());
                Ok(Invocation { payload: outcome.payload, function_error })
            }
        }
    }

    async fn permits(
        &self,
        function: &Arn,
        service: &str,
        source: &Arn,
        source_account: &str,
    ) -> Result<bool, AwsError> {
        let (whole, qualifier) = self.by_arn(function)?;
        let mut whole = Function::clone(&whole);
        let statements = whole.policy_of(&qualifier).map(|statements| statements.as_slice()).unwrap_or_default();
        Ok(policy::permits(statements, service, source, source_account))
    }
}
