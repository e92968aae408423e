//! Consumable resources: things other than vCPUs and memory that jobs need, such as licences (Batch User Guide,
//! "Resource-aware scheduling").
//!
//! Decided here: every attempt takes its quantity when it is placed. When it has ended, a replenishable resource gets it back;
//! of one that is not, the total shrinks by it, also where the attempt failed. Jobs that need a resource get it in the order
//! in which they would start: one that waits for much of it is not overtaken by those that need a little.

use serde::{Deserialize, Serialize};

/// Whether what was taken comes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ConsumableKind {
    /// `REPLENISHABLE`.
    Replenishable,
    /// `NON_REPLENISHABLE`.
    NonReplenishable,
}

/// A consumable resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Consumable {
    /// Whether what was taken comes back.
    pub kind: ConsumableKind,
    /// How much there is, in use or not.
    pub total: u64,
    /// How much attempts hold: follows from them.
    #[serde(skip)]
    pub in_use: u64,
}

impl Consumable {
    /// How much is free. Nothing where the total was lowered below what is in use.
    pub const fn available(&self) -> u64 {
        self.total.saturating_sub(self.in_use)
    }

    pub(super) const fn take(&mut self, quantity: u64) {
        self.in_use += quantity;
    }

    pub(super) const fn give_back(&mut self, quantity: u64) {
        self.in_use -= quantity;
        if matches!(self.kind, ConsumableKind::NonReplenishable) {
            self.total = self.total.saturating_sub(quantity);
        }
    }
}
