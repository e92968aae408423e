//! Reserved concurrency, and the account's limits.

use super::functions::TOTAL_LIMIT;
use crate::LambdaService;
use crate::code::UNZIPPED_LIMIT;
use crate::registry::Change;
use barge_core::{AwsError, Context};
use barge_wire::lambda::{AccountLimit, AccountUsage, GetAccountSettingsResponse, error};

impl LambdaService {
    /// Reserves `wanted` concurrent executions for a function, or none.
    pub(crate) async fn reserve(&self, cx: &Context, name: &str, wanted: Option<i64>) -> Result<(), AwsError> {
        let (function, _) = self.whole(cx, name)?;
        let key = &function.key;
        let wanted = wanted.map(|wanted| u32::try_from(wanted).unwrap_or(u32::MAX));
        let (revision, config) = (self.shared.ambient.ids.uuid(), &self.shared.config);
        self.shared
            .registry
            .change(key, |old| {
                let mut function = old.ok_or_else(|| key.not_found())?.clone();
                let others = self.shared.registry.all(&key.scope);
                let others = others.iter().filter(|other| other.key != *key);
                let reserved: u64 = others.filter_map(|other| other.reserved_concurrency).map(u64::from).sum();
                let after = reserved + u64::from(wanted.unwrap_or(0)) + u64::from(config.unreserved_minimum);
                if wanted.is_some_and(|wanted| wanted > 0) && after > u64::from(config.concurrency) {
                    return Err(error::invalid_parameter_value_exception(format!(
                        "Specified ReservedConcurrentExecutions for function decreases account's \
                         UnreservedConcurrentExecution below its minimum value of [{}].",
                        config.unreserved_minimum
                    )));
                }
                function.reserved_concurrency = wanted;
                function.revision = revision;
                Ok(Change::Store(Box::new(function), ()))
            })
            .await
    }

    pub(super) fn account_settings(&self, cx: &Context) -> GetAccountSettingsResponse {
        let functions = self.shared.registry.all(&cx.scope);
        let reserved: u32 = functions.iter().filter_map(|function| function.reserved_concurrency).sum();
        let concurrency = self.shared.config.concurrency;
        let size: u64 = functions.iter().map(|function| function.code.size).sum();
        let number = |n: u64| i64::try_from(n).ok();
        GetAccountSettingsResponse {
            account_limit: Some(AccountLimit {
                total_code_size: number(TOTAL_LIMIT),
                code_size_unzipped: number(UNZIPPED_LIMIT),
                code_size_zipped: Some(52_428_800),
                concurrent_executions: Some(concurrency.into()),
                unreserved_concurrent_executions: Some(concurrency.saturating_sub(reserved).into()),
            }),
            account_usage: Some(AccountUsage {
                total_code_size: number(size),
                function_count: i64::try_from(functions.len()).ok(),
            }),
        }
    }
}
