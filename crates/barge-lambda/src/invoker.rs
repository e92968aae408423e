//! Lambda as event sources see it.

use crate::LambdaService;
use crate::function::Function;
use crate::instance::Verdict;
use crate::names::resolve;
use crate::policy;
use async_trait::async_trait;
use barge_core::ports::{FunctionInvoker, Invocation, InvocationMode};
use barge_core::{Arn, AwsError};
use barge_wire::lambda::error;
use bytes::Bytes;
use std::sync::Arc;

impl LambdaService {
    fn by_arn(&self, arn: &Arn) -> Result<Arc<Function>, AwsError> {
        let not_found = || error::resource_not_found_exception(format!("Function not found: {arn}"));
        let scope = arn.scope().ok_or_else(not_found)?;
        let target = resolve(&scope, &arn.to_string(), None)?;
        self.shared.registry.require(&target.key)
    }
}

#[async_trait]
impl FunctionInvoker for LambdaService {
    async fn invoke(&self, function: &Arn, payload: Bytes, mode: InvocationMode) -> Result<Invocation, AwsError> {
        let function = self.by_arn(function)?;
        let request_id = self.shared.ambient.ids.uuid();
        match mode {
            InvocationMode::Event => {
                self.queue(&function, &request_id, payload).await?;
                Ok(Invocation::default())
            }
            InvocationMode::RequestResponse => {
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
        let function = self.by_arn(function)?;
        Ok(policy::permits(&function.policy, service, source, source_account))
    }
}
