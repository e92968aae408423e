//! What is stored of stacks, their resources and their events.

use super::machine::{OnFailure, Phase, State};
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
}

impl StackRecord {
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
    /// What `Ref` gives.
    pub(crate) value: Document,
    /// Whether it is hidden from every answer.
    pub(crate) no_echo: bool,
}

/// What stands in an answer for a hidden value.
pub(crate) const HIDDEN: &str = "****";

/// An output's value.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct OutputRecord {
    pub(crate) key: String,
    pub(crate) value: String,
    pub(crate) description: Option<String>,
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

/// A change set that would make a stack.
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
    pub(crate) token: Option<String>,
    pub(crate) created: Timestamp,
    pub(crate) executed: bool,
    /// Logical id and type of each resource that it adds.
    pub(crate) adds: Vec<(String, String)>,
}
