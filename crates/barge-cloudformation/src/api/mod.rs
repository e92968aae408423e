//! CloudFormation's operations: reading requests, AWS's errors, answers out of the engine's records. Decisions about
//! stacks are the engine's.

mod capabilities;
mod change_sets;
mod changes;
mod deployment;
mod drift;
pub(crate) mod embedded;
mod events;
mod exports;
mod imports;
mod nested_sets;
mod pages;
mod policies;
mod proposal;
mod request;
mod resources;
mod roles;
mod stacks;
mod template_url;
mod templates;
mod updates;

use crate::engine::{self, Phase, StackRecord};
use crate::template::{Pseudo, TemplateError};
use crate::{Engine, Registry, types};
use barge_core::ports::{CredentialIssuer, FunctionInvoker, KeyDirectory, ObjectStore, ParameterStore};
use barge_core::{Ambient, AwsError, Context, Scope};
use barge_store::{Store, StoreError};
use barge_wire::cloudformation as wire;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// How long a describe call waits for a stack that something is being done to. AWS's waiters and `aws cloudformation
/// deploy` ask at once and then every 30 seconds, and most stacks here take less than one.
const PATIENCE: Duration = Duration::from_secs(2);

/// AWS CloudFormation.
pub struct CloudFormation {
    engine: Engine,
    ports: Ports,
    patience: Duration,
    /// Counts what has come to mailboxes, for those who wait for it.
    letters: watch::Sender<u64>,
}

/// What CloudFormation needs of other services.
#[derive(Clone)]
pub struct Ports {
    /// Templates behind URLs.
    pub objects: Arc<dyn ObjectStore>,
    /// Custom resources' functions.
    pub functions: Arc<dyn FunctionInvoker>,
    /// The roles that stacks act for.
    pub credentials: Arc<dyn CredentialIssuer>,
    /// Whom those credentials stand for.
    pub keys: Arc<dyn KeyDirectory>,
    /// Values of parameters of the types `AWS::SSM::Parameter::Value<…>`; without it there are none.
    pub parameters: Option<Arc<dyn ParameterStore>>,
}

impl CloudFormation {
    /// The service over `store`, with the resource types of `registry` beside its own. Call [`CloudFormation::resume`]
    /// when the other services are ready.
    pub fn open(store: Store, ambient: Ambient, registry: Registry, ports: Ports) -> Result<Arc<Self>, StoreError> {
        Self::patient(store, ambient, registry, ports, PATIENCE)
    }

    fn patient(
        store: Store,
        ambient: Ambient,
        registry: Registry,
        ports: Ports,
        patience: Duration,
    ) -> Result<Arc<Self>, StoreError> {
        let home = types::Home::default();
        let registry = registry.with(types::providers(&home));
        let engine = Engine::open(store, ambient, registry)?;
        let service = Arc::new(Self { engine, ports, patience, letters: watch::Sender::new(0) });
        home.set(&service);
        Ok(service)
    }

    /// Takes up every stack that was being made or removed when the server stopped, and gives their number.
    pub async fn resume(&self) -> Result<usize, AwsError> {
        self.engine.resume().await
    }

    /// The engine behind the operations.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// What other services do for this one.
    pub(crate) fn ports(&self) -> &Ports {
        &self.ports
    }

    pub(crate) fn letters(&self) -> &watch::Sender<u64> {
        &self.letters
    }

    /// The longest answer to a custom resource's or wait condition's URL, in bytes (CloudFormation Template Reference,
    /// "Custom resource response objects").
    pub const LONGEST_LETTER: usize = 4096;

    /// Takes what was put to the URL of a custom resource or wait condition that ends in `token`. `AccessDenied` where
    /// there is no such URL, `InvalidRequest` where the body is no JSON object.
    pub async fn deliver(&self, token: &str, body: &[u8]) -> Result<(), AwsError> {
        types::deliver(self, token, body).await
    }

    /// The stack that a client names by name or ARN; a deleted one only by its ARN.
    async fn find(&self, scope: &Scope, name_or_id: &str) -> Result<Option<StackRecord>, AwsError> {
        let (scope, key) = (scope.clone(), name_or_id.to_owned());
        self.engine
            .store()
            .read(move |db| {
                if key.starts_with("arn:") {
                    engine::stack_by_id(db, &scope, &key)
                } else {
                    engine::stack_by_name(db, &scope, &key)
                }
            })
            .await
    }

    async fn existing(&self, scope: &Scope, name_or_id: &str) -> Result<StackRecord, AwsError> {
        let stack = self.find(scope, name_or_id).await?;
        stack.ok_or_else(|| invalid(format!("Stack with id {name_or_id} does not exist")))
    }

    /// The same, once nothing is being done to the stack any more, or as it is when the service's patience ends.
    async fn settling(&self, scope: &Scope, name_or_id: &str) -> Result<StackRecord, AwsError> {
        let stack = self.existing(scope, name_or_id).await?;
        if stack.phase == Phase::Settled {
            return Ok(stack);
        }
        if let Ok(settled) = tokio::time::timeout(self.patience, self.engine.settled(&stack.id)).await {
            settled?;
        }
        self.existing(scope, name_or_id).await
    }
}

/// CloudFormation's error for everything that is wrong with a request.
fn invalid(message: impl Into<String>) -> AwsError {
    AwsError::new("ValidationError", 400, message)
}

/// What Barge lacks of an operation.
fn lacking(what: &str) -> AwsError {
    AwsError::not_implemented("AWS CloudFormation", what)
}

impl From<TemplateError> for AwsError {
    fn from(error: TemplateError) -> Self {
        invalid(error.to_string())
    }
}

fn pseudo(scope: &Scope) -> Pseudo {
    Pseudo { account: scope.account.clone(), region: scope.region.clone(), stack_id: None, stack_name: None }
}

macro_rules! operations {
    ($($name:ident: $input:ident -> $output:ident = $module:ident::$function:ident;)*) => {
        impl wire::CloudFormation for CloudFormation {
            $(async fn $name(&self, cx: &Context, input: wire::$input) -> Result<wire::$output, AwsError> {
                $module::$function(self, cx, input).await
            })*

            async fn delete_stack(&self, cx: &Context, input: wire::DeleteStackInput) -> Result<(), AwsError> {
                stacks::delete(self, cx, input).await
            }

            async fn cancel_update_stack(&self, cx: &Context, input: wire::CancelUpdateStackInput) -> Result<(), AwsError> {
                updates::cancel(self, cx, input).await
            }

            async fn set_stack_policy(&self, cx: &Context, input: wire::SetStackPolicyInput) -> Result<(), AwsError> {
                policies::set(self, cx, input).await
            }
        }
    };
}

operations! {
    create_stack: CreateStackInput -> CreateStackOutput = stacks::create;
    describe_stacks: DescribeStacksInput -> DescribeStacksOutput = stacks::describe;
    list_stacks: ListStacksInput -> ListStacksOutput = stacks::list;
    update_termination_protection: UpdateTerminationProtectionInput -> UpdateTerminationProtectionOutput = stacks::protect;
    describe_stack_events: DescribeStackEventsInput -> DescribeStackEventsOutput = events::describe;
    describe_stack_resource: DescribeStackResourceInput -> DescribeStackResourceOutput = resources::describe_one;
    describe_stack_resources: DescribeStackResourcesInput -> DescribeStackResourcesOutput = resources::describe;
    list_stack_resources: ListStackResourcesInput -> ListStackResourcesOutput = resources::list;
    get_template: GetTemplateInput -> GetTemplateOutput = templates::get;
    get_template_summary: GetTemplateSummaryInput -> GetTemplateSummaryOutput = templates::summary;
    validate_template: ValidateTemplateInput -> ValidateTemplateOutput = templates::validate;
    create_change_set: CreateChangeSetInput -> CreateChangeSetOutput = change_sets::create;
    describe_change_set: DescribeChangeSetInput -> DescribeChangeSetOutput = change_sets::describe;
    execute_change_set: ExecuteChangeSetInput -> ExecuteChangeSetOutput = change_sets::execute;
    delete_change_set: DeleteChangeSetInput -> DeleteChangeSetOutput = change_sets::delete;
    list_change_sets: ListChangeSetsInput -> ListChangeSetsOutput = change_sets::list;
    update_stack: UpdateStackInput -> UpdateStackOutput = updates::update;
    continue_update_rollback: ContinueUpdateRollbackInput -> ContinueUpdateRollbackOutput = updates::continue_rollback;
    rollback_stack: RollbackStackInput -> RollbackStackOutput = updates::roll_back;
    get_stack_policy: GetStackPolicyInput -> GetStackPolicyOutput = policies::get;
    detect_stack_drift: DetectStackDriftInput -> DetectStackDriftOutput = drift::detect;
    detect_stack_resource_drift: DetectStackResourceDriftInput -> DetectStackResourceDriftOutput = drift::detect_one;
    describe_stack_drift_detection_status: DescribeStackDriftDetectionStatusInput -> DescribeStackDriftDetectionStatusOutput = drift::describe_detection;
    describe_stack_resource_drifts: DescribeStackResourceDriftsInput -> DescribeStackResourceDriftsOutput = drift::describe_resources;
    list_exports: ListExportsInput -> ListExportsOutput = exports::exports;
    list_imports: ListImportsInput -> ListImportsOutput = exports::imports;
}

#[cfg(test)]
mod tests;
