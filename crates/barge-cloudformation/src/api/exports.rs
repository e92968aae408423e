//! ListExports and ListImports.

use super::{CloudFormation, invalid, pages};
use crate::engine;
use barge_core::{AwsError, Context};
use barge_wire::cloudformation::{Export, ListExportsInput, ListExportsOutput, ListImportsInput, ListImportsOutput};

pub(super) async fn exports(
    service: &CloudFormation,
    cx: &Context,
    input: ListExportsInput,
) -> Result<ListExportsOutput, AwsError> {
    let scope = cx.scope.clone();
    let all = service.engine.store().read(move |db| engine::exports(db, &scope)).await?;
    let (page, next_token) = pages::page(all, input.next_token.as_deref())?;
    let exports = page.into_iter().map(|export| Export {
        exporting_stack_id: Some(export.stack_id),
        name: Some(export.name),
        value: Some(export.value),
    });
    Ok(ListExportsOutput { exports: Some(exports.collect()), next_token })
}

pub(super) async fn imports(
    service: &CloudFormation,
    cx: &Context,
    input: ListImportsInput,
) -> Result<ListImportsOutput, AwsError> {
    let (scope, name) = (cx.scope.clone(), input.export_name.clone());
    let stacks = service
        .engine
        .store()
        .read(move |db| {
            let there = engine::export_values(db, &scope)?.contains_key(&name);
            Ok::<_, AwsError>(if there { Some(engine::importers(db, &scope, &name)?) } else { None })
        })
        .await?;
    let name = input.export_name;
    let stacks = stacks.ok_or_else(|| invalid(format!("No export named {name} found.")))?;
    if stacks.is_empty() {
        return Err(invalid(format!("Export '{name}' is not imported by any stack.")));
    }
    let (imports, next_token) = pages::page(stacks, input.next_token.as_deref())?;
    Ok(ListImportsOutput { imports: Some(imports), next_token })
}
