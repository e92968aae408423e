//! What is stored of stacks, their resources and their events.

use super::difference::ResourceDifference;
use super::machine::{OnFailure, Part, Phase, State, Turn};
use crate::template::RemovalPolicy;
use barge_core::{Document, Principal, Scope, Timestamp};
use barge_wire::cloudformation::{ResourceStatus, StackStatus};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A stack.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct StackRecord {
    /// Its ARN.
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) scope: Scope,
    /// Whoever made it; its resources are made on their behalf.
    pub(crate) principal: Principal,
    pub(crate) description: Option<String>,
    pub(crate) parameters: BTreeMap<String, ParameterRecord>,
    pub(crate) conditions: BTreeMap<String, bool>,
    pub(crate) capabilities: Vec<String>,
    pub(crate) tags: BTreeMap<String, String>,
    pub(crate) on_failure: OnFailure,
    pub(crate) timeout_minutes: Option<i64>,
    pub(crate) retain_except_on_create: bool,
    pub(crate) termination_protection: bool,
    /// The client's token of the operation that runs or ran last; goes with its events.
    pub(crate) token: Option<String>,
    /// The client's token of the creation: the same call again gives the same stack.
    pub(crate) creation_token: Option<String>,
    pub(crate) change_set: Option<String>,
    pub(crate) status: StackStatus,
    pub(crate) status_reason: Option<String>,
    pub(crate) created: Timestamp,
    /// When the making began, from which its timeout counts.
    pub(crate) started: Timestamp,
    pub(crate) deleted: Option<Timestamp>,
    pub(crate) outputs: Vec<OutputRecord>,
    pub(crate) phase: Phase,
    pub(crate) failed: Vec<String>,
    pub(crate) cause: Option<String>,
    /// As `failed`, of resources that failed to update.
    #[serde(default)]
    pub(crate) update_failed: Vec<String>,
    /// What a failure of the update that runs or ran last leads to.
    #[serde(default)]
    pub(crate) on_update_failure: OnFailure,
    /// How the operation that runs or ran last is carried out.
    #[serde(default)]
    pub(crate) deployment: Deployment,
    /// When it was updated last.
    #[serde(default)]
    pub(crate) updated: Option<Timestamp>,
    /// Counts the operations: what is planned after one number must not be carried out after another.
    #[serde(default)]
    pub(crate) operation: u64,
    /// What an update has replaced of this record, until the update or its rollback has succeeded.
    #[serde(default)]
    pub(crate) former: Option<Box<FormerStack>>,
    /// Values of the exports that the stack imports, by name.
    #[serde(default)]
    pub(crate) imports: BTreeMap<String, String>,
    /// ARN of the role that it acts for.
    #[serde(default)]
    pub(crate) role_arn: Option<String>,
    /// The stack policy's JSON.
    #[serde(default)]
    pub(crate) policy: Option<String>,
    /// The policy that stands in for it during the update that runs.
    #[serde(default)]
    pub(crate) policy_during_update: Option<String>,
    /// The stack that this one is a resource of, and the one that is nobody's resource above it.
    #[serde(default)]
    pub(crate) parent: Option<Parent>,
}

/// How an operation is carried out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Deployment {
    pub(crate) mode: DeploymentMode,
    /// `None` where the request leaves it to the mode.
    pub(crate) rollback_disabled: Option<bool>,
}

/// When an operation ends. Resources are ready here as soon as they are configured, so that both end alike.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum DeploymentMode {
    /// Once every resource is ready.
    #[default]
    Standard,
    /// Once every resource is configured.
    Express,
}

impl Deployment {
    /// What a failure leads to.
    pub(crate) fn on_failure(self) -> OnFailure {
        let disabled = self.rollback_disabled.unwrap_or(self.mode == DeploymentMode::Express);
        if disabled { OnFailure::DoNothing } else { OnFailure::Rollback }
    }
}

/// The stack that a nested stack belongs to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Parent {
    /// ARN.
    pub(crate) id: String,
    /// ARN of the stack above all.
    pub(crate) root: String,
}

/// A stack's own part in its last stable state.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct FormerStack {
    pub(crate) description: Option<String>,
    pub(crate) parameters: BTreeMap<String, ParameterRecord>,
    pub(crate) conditions: BTreeMap<String, bool>,
    pub(crate) capabilities: Vec<String>,
    pub(crate) tags: BTreeMap<String, String>,
    pub(crate) outputs: Vec<OutputRecord>,
    pub(crate) imports: BTreeMap<String, String>,
}

impl StackRecord {
    /// A stack that nothing is known of but its ARN `id`, name, place and maker; its making begins.
    pub(crate) fn blank(name: String, scope: Scope, principal: Principal) -> Self {
        Self {
            id: scope.arn("cloudformation", format!("stack/{name}")).to_string(),
            name,
            scope,
            principal,
            description: None,
            parameters: BTreeMap::new(),
            conditions: BTreeMap::new(),
            capabilities: Vec::new(),
            tags: BTreeMap::new(),
            on_failure: OnFailure::Rollback,
            timeout_minutes: None,
            retain_except_on_create: false,
            termination_protection: false,
            token: None,
            creation_token: None,
            change_set: None,
            status: StackStatus::ReviewInProgress,
            status_reason: None,
            created: Timestamp::default(),
            started: Timestamp::default(),
            deleted: None,
            outputs: Vec::new(),
            phase: Phase::Creating,
            failed: Vec::new(),
            cause: None,
            update_failed: Vec::new(),
            on_update_failure: OnFailure::Rollback,
            deployment: Deployment::default(),
            updated: None,
            operation: 0,
            former: None,
            imports: BTreeMap::new(),
            role_arn: None,
            policy: None,
            policy_during_update: None,
            parent: None,
        }
    }

    /// Whether nothing is being done to it.
    pub(crate) fn settled(&self) -> bool {
        self.phase == Phase::Settled
    }

    /// Whether the name is taken by it.
    pub(crate) fn live(&self) -> bool {
        self.status != StackStatus::DeleteComplete
    }
}

/// A parameter's value.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct ParameterRecord {
    /// As given, or the default.
    pub(crate) text: String,
    /// The parameter store's value, where the text names one.
    #[serde(default)]
    pub(crate) resolved: Option<String>,
    /// What `Ref` gives.
    pub(crate) value: Document,
    /// Whether it is hidden from every answer.
    pub(crate) no_echo: bool,
}

/// What stands in an answer for a hidden value.
pub(crate) const HIDDEN: &str = "****";

/// The name under which a resource's attributes say that none of them may be shown.
pub(crate) const NO_ECHO: &str = "Barge::NoEcho";

/// An output's value.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct OutputRecord {
    pub(crate) key: String,
    pub(crate) value: String,
    pub(crate) description: Option<String>,
    /// The name under which other stacks import it.
    #[serde(default)]
    pub(crate) export: Option<String>,
}

/// A resource of a stack.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct ResourceRecord {
    pub(crate) logical_id: String,
    pub(crate) type_name: String,
    /// Positions of what is made before it.
    pub(crate) dependencies: Vec<usize>,
    pub(crate) policy: RemovalPolicy,
    pub(crate) state: State,
    /// `None` before anything was done about it.
    pub(crate) status: Option<ResourceStatus>,
    pub(crate) status_reason: Option<String>,
    pub(crate) changed: Timestamp,
    pub(crate) physical_id: Option<String>,
    pub(crate) attributes: BTreeMap<String, Document>,
    /// Evaluated, as given to the provider; `None` before its creation began.
    pub(crate) properties: Option<Document>,
    /// The same as JSON for answers, with hidden parameters hidden.
    pub(crate) shown: Option<String>,
    /// `Metadata` as JSON.
    pub(crate) metadata: Option<String>,
    #[serde(default)]
    pub(crate) replace_policy: RemovalPolicy,
    /// The operation in which it was made, where that was not the stack's creation: part of its token.
    #[serde(default)]
    pub(crate) generation: u64,
    /// Its place in the update that runs or failed.
    #[serde(default)]
    pub(crate) standing: Standing,
    /// The properties that an update is giving it, or failed to give it.
    #[serde(default)]
    pub(crate) next: Option<Evaluated>,
    /// What it was in the stack's last stable state, where the update changes it.
    #[serde(default)]
    pub(crate) before: Option<Evaluated>,
    /// The physical id of what existed before the stack and was taken into it, where it was not made.
    #[serde(default)]
    pub(crate) existing: Option<String>,
    /// What the new template says of it beside properties; counts once the update has succeeded.
    #[serde(default)]
    pub(crate) aim: Option<Aim>,
}

impl ResourceRecord {
    /// Whether the stack's answers list it: not what an update has replaced or removed.
    pub(crate) fn listed(&self) -> bool {
        self.standing.part != Part::Leftover && self.state != State::Left
    }
}

/// Properties with their values.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Evaluated {
    pub(crate) properties: Document,
    /// As JSON for answers, with hidden parameters hidden.
    pub(crate) shown: String,
}

/// What a new template says of a resource beside its properties.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Aim {
    pub(crate) policy: RemovalPolicy,
    pub(crate) replace_policy: RemovalPolicy,
    pub(crate) metadata: Option<String>,
}

/// A resource's place in an update, as the machine keeps it. Positions are those of the stack's resources.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Standing {
    pub(crate) part: Part,
    pub(crate) turn: Turn,
    pub(crate) touched: bool,
    pub(crate) stable: Option<usize>,
    /// `None` for its own position.
    pub(crate) slot: Option<usize>,
    pub(crate) former: Vec<usize>,
    /// `None` for what it depends on now.
    pub(crate) wanted: Option<Vec<usize>>,
}

/// An event of a stack, as DescribeStackEvents gives it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct EventRecord {
    pub(crate) id: String,
    pub(crate) logical_id: String,
    pub(crate) physical_id: Option<String>,
    pub(crate) type_name: String,
    pub(crate) status: ResourceStatus,
    pub(crate) reason: Option<String>,
    pub(crate) properties: Option<String>,
    pub(crate) token: Option<String>,
    pub(crate) at: Timestamp,
}

/// A change set: what would make a stack or change it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct ChangeSetRecord {
    /// Its ARN.
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) stack_id: String,
    pub(crate) stack_name: String,
    pub(crate) description: Option<String>,
    pub(crate) template: String,
    pub(crate) parameters: BTreeMap<String, String>,
    pub(crate) hidden: Vec<String>,
    pub(crate) capabilities: Vec<String>,
    pub(crate) tags: BTreeMap<String, String>,
    pub(crate) on_failure: Option<OnFailure>,
    #[serde(default)]
    pub(crate) deployment: Deployment,
    pub(crate) token: Option<String>,
    pub(crate) created: Timestamp,
    pub(crate) executed: bool,
    /// Logical id and type of each resource that it adds, in records of the time when change sets only made stacks.
    #[serde(default)]
    pub(crate) adds: Vec<(String, String)>,
    /// Each resource that it adds, changes or removes.
    #[serde(default)]
    pub(crate) changes: Vec<ResourceDifference>,
    /// Whether it changes a stack.
    #[serde(default)]
    pub(crate) kind: ChangeSetKind,
    /// The stack's operation count at its making; it is obsolete once that has moved on.
    #[serde(default)]
    pub(crate) base: u64,
    /// ARN of the role that carries it out.
    #[serde(default)]
    pub(crate) role_arn: Option<String>,
    /// Whether it has change sets for the nested stacks below.
    #[serde(default)]
    pub(crate) include_nested: bool,
    /// The change set of the stack that the stack is nested in, and the one of the stack above all.
    #[serde(default)]
    pub(crate) parent: Option<String>,
    #[serde(default)]
    pub(crate) root: Option<String>,
    /// Whether resources that exist are taken in.
    #[serde(default)]
    pub(crate) import_existing: bool,
    /// Why it can't be executed.
    #[serde(default)]
    pub(crate) failure: Option<String>,
}

/// What executing a change set does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum ChangeSetKind {
    #[default]
    Create,
    Update,
}
