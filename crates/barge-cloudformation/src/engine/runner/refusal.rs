//! What a stack can't have happen in the state that it is in, in CloudFormation's words.

use super::{Happening, Runner};
use crate::engine::machine::{After, Phase, State};
use crate::engine::record::ResourceRecord;
use barge_core::AwsError;
use barge_wire::cloudformation::StackStatus;

impl Runner {
    /// Why the stack can't have this happen now.
    pub(crate) fn refusal(&self, happening: &Happening) -> Option<AwsError> {
        let (status, id) = (self.stack.status, &self.stack.id);
        let refused = |text: String| Some(AwsError::new("ValidationError", 400, text));
        match happening {
            Happening::Update(order) => match updatable(status) {
                false => refused(format!("Stack:{id} is in {status} state and can not be updated.")),
                true if order.base != self.stack.operation => {
                    refused(format!("Stack:{id} was changed by another operation meanwhile; it can not be updated."))
                }
                true => None,
            },
            Happening::Cancel { .. } if status != StackStatus::UpdateInProgress => {
                refused("CancelUpdateStack cannot be called from current stack status".to_owned())
            }
            Happening::RollBack { .. } if !matches!(status, StackStatus::CreateFailed | StackStatus::UpdateFailed) => {
                refused(format!("Stack:{id} is in {status} state and can not be rolled back."))
            }
            Happening::Continue { .. } if status != StackStatus::UpdateRollbackFailed => {
                refused(format!("Stack:{id} is in {status} state and can not continue update rollback."))
            }
            Happening::Continue { skip, .. } => {
                let broken = |name: &String| {
                    let named = |record: &&ResourceRecord| record.listed() && record.logical_id == *name;
                    self.resources.iter().find(named).is_some_and(|record| record.state == State::Broken)
                };
                let wrong = skip.iter().find(|name| !broken(name))?;
                refused(format!(
                    "The resource {wrong} can not be skipped: only resources in the UPDATE_FAILED state because the \
                     rollback failed can."
                ))
            }
            Happening::Delete { .. } if self.updating() => {
                refused(format!("Stack [{id}] cannot be deleted while in status {status}"))
            }
            _ => None,
        }
    }

    fn updating(&self) -> bool {
        matches!(
            self.stack.phase,
            Phase::Updating
                | Phase::Reverting
                | Phase::Cleaning(_)
                | Phase::Draining(After::Revert | After::StopUpdate | After::GiveUp)
        )
    }
}

/// Whether a stack in this state can be updated.
pub(crate) const fn updatable(status: StackStatus) -> bool {
    matches!(
        status,
        StackStatus::CreateComplete
            | StackStatus::UpdateComplete
            | StackStatus::UpdateRollbackComplete
            | StackStatus::UpdateFailed
    )
}
