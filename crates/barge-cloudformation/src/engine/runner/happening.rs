//! What happens to a stack, and what comes of it.

use super::UpdateOrder;
use crate::engine::record::{ChangeSetRecord, EventRecord, OutputRecord};
use barge_core::Principal;
use barge_core::resource::{Creation, Properties, Resource};
use std::collections::BTreeSet;

/// What happened to a stack, with what came of it.
#[derive(Debug)]
pub(crate) enum Happening {
    Start,
    Resume,
    Update(Box<UpdateOrder>),
    Created(usize, Resource),
    /// The creation failed, and left what has the physical id.
    CreateFailed(usize, String, Option<String>),
    Updated(usize, Resource),
    UpdateFailed(usize, String),
    /// The outputs are exported, or the reason why not.
    Published(Result<(), String>),
    TimedOut,
    Cancel {
        token: Option<String>,
    },
    RollBack {
        token: Option<String>,
        retain_except_on_create: bool,
    },
    Continue {
        skip: BTreeSet<String>,
        token: Option<String>,
    },
    Delete {
        keep: BTreeSet<String>,
        token: Option<String>,
    },
    /// A setting of the stack that its resources don't know is switched.
    Set(Setting),
    Deleted(usize),
    DeleteFailed(usize, String),
}

/// A setting of a stack.
#[derive(Clone, Debug)]
pub(crate) enum Setting {
    TerminationProtection(bool),
    Policy(String),
    /// Whom it acts for, and the ARN of the role that this is.
    Role(Principal, Option<String>),
}

/// What must be stored, and what must then be done.
#[derive(Debug, Default)]
pub(crate) struct Changes {
    pub(crate) stack: bool,
    /// Whether the stack's resources have other positions than those stored.
    pub(crate) renumbered: bool,
    pub(crate) resources: BTreeSet<usize>,
    pub(crate) template: Vec<TemplateChange>,
    pub(crate) exports: Vec<ExportChange>,
    /// The change set that this carries out.
    pub(crate) executed: Option<Box<ChangeSetRecord>>,
    pub(crate) events: Vec<EventRecord>,
    pub(crate) calls: Vec<Call>,
}

impl Changes {
    /// Takes in what came of a later happening.
    pub(crate) fn join(&mut self, later: Self) {
        self.stack |= later.stack;
        self.renumbered |= later.renumbered;
        self.resources.extend(later.resources);
        self.template.extend(later.template);
        self.exports.extend(later.exports);
        self.executed = later.executed.or(self.executed.take());
        self.events.extend(later.events);
        self.calls.extend(later.calls);
    }
}

/// What becomes of a stack's stored template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum TemplateChange {
    /// This one counts; the former is kept until the update has succeeded.
    Propose { body: String, processed: Option<String> },
    /// The former counts again.
    Restore,
    /// The former is no longer needed.
    Settle,
}

/// What becomes of what a stack exports and imports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ExportChange {
    /// It imports also what the new template names.
    Import,
    /// It imports only what its template names.
    Settle,
    /// It exports nothing any more; refused where others import it.
    Withdraw,
    /// The stack is gone.
    Forget,
}

/// Something to be done outside, whose end is a [`Happening`].
#[derive(Debug)]
pub(crate) enum Call {
    Create {
        index: usize,
        creation: Creation,
    },
    /// Takes what exists into the stack.
    Import {
        index: usize,
        physical_id: String,
        properties: Properties,
    },
    Update {
        index: usize,
        physical_id: String,
        old: Properties,
        creation: Creation,
    },
    Delete {
        index: usize,
        physical_id: String,
        creation: Creation,
    },
    /// Exports the stack's outputs.
    Publish {
        outputs: Vec<OutputRecord>,
    },
}

impl Call {
    /// The resource that it is about.
    pub(crate) fn index(&self) -> Option<usize> {
        match self {
            Self::Create { index, .. }
            | Self::Import { index, .. }
            | Self::Update { index, .. }
            | Self::Delete { index, .. } => Some(*index),
            Self::Publish { .. } => None,
        }
    }
}
