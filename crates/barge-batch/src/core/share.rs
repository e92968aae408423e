//! Fair-share scheduling: which share identifier of a queue goes next (Batch User Guide, "Use fair-share scheduling to help
//! schedule jobs"; API Reference, "FairsharePolicy").
//!
//! AWS documents the inputs, not the arithmetic. Here it is:
//!
//! - A share's **usage** is the vCPU time that its tasks have held within the last `shareDecaySeconds`, and hold now. Time
//!   is kept in sixteen slots of a sixteenth of the window each, so that a slot falls out as a whole. What is held now counts
//!   for one slot more, as if it went on. Where `shareDecaySeconds` is 0, usage is the vCPUs held now.
//! - Its **rank** is usage × `weightFactor`; the share with the lowest rank goes next, of equal ones the first by name. A weight of 0.125 so gets eight times as much as a weight of 1. The weight is that of the
//!   entry of `shareDistribution` with this name, else of the longest entry that ends in `*` and begins like it, else 1.
//! - A share is **active** while it has jobs that have not ended, or usage. With n active shares, the queue's tasks hold at
//!   most (1 − (`computeReservation`/100)^n) of the vCPUs that the queue's environments may have, unless nothing of the queue runs.
//! - Within a share the job with the higher scheduling priority goes first, of equal ones the one submitted first.

use super::ShareId;
use barge_core::Timestamp;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Slots that a window is kept in.
const SLOTS: usize = 16;
/// Weights are kept in ten-thousandths, the finest that AWS takes.
pub const WEIGHT_ONE: u32 = 10_000;

/// A fair-share policy.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FairShare {
    /// The window; zero counts only what is held now.
    pub decay: Duration,
    /// Percent, 0 to 99.
    pub compute_reservation: u8,
    /// Share identifier, or the beginning of one and `*`; weight in ten-thousandths.
    pub weights: Vec<(String, u32)>,
}

impl FairShare {
    /// A share's weight, in ten-thousandths.
    pub fn weight(&self, share: &ShareId) -> u32 {
        let fitting = self.weights.iter().filter_map(|(name, weight)| match name.strip_suffix('*') {
            Some(start) => share.as_str().starts_with(start).then_some((start.len(), *weight)),
            None => (name == share.as_str()).then_some((usize::MAX, *weight)),
        });
        fitting.max_by_key(|(length, _)| *length).map_or(WEIGHT_ONE, |(_, weight)| weight)
    }

    /// A share's rank, the lowest going next: from what it has used and holds.
    pub(super) fn rank(&self, share: &ShareId, used: u128, held: u64) -> u128 {
        let ahead = u128::from(slot_millis(self.decay).unsigned_abs().max(1));
        let used = if self.decay.is_zero() { 0 } else { used };
        (used + u128::from(held) * ahead) * u128::from(self.weight(share))
    }

    /// What all tasks of the queue may hold of `vcpu_milli` while `active` shares are.
    pub fn allowance(&self, vcpu_milli: u64, active: usize) -> u64 {
        let percent = u128::from(self.compute_reservation);
        // The reserved part is too small to count long before the power overflows.
        let reserved = (0..active.min(12)).fold(u128::from(vcpu_milli), |part, _| part * percent / 100);
        vcpu_milli - u64::try_from(reserved).unwrap_or(vcpu_milli)
    }
}

/// The vCPU time that a share has held, within a window that moves on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ledger {
    /// Up to when time is booked.
    upto: Timestamp,
    /// Thousandths of a vCPU × milliseconds, the slot of `upto` first.
    slots: [u128; SLOTS],
}

impl Ledger {
    /// Books `vcpu_milli` held since the last booking, up to `now`.
    pub(super) fn book(&mut self, now: Timestamp, window: Duration, vcpu_milli: u64) {
        let slot = slot_millis(window);
        if slot == 0 || now <= self.upto {
            return;
        }
        if self.slots == [0; SLOTS] && vcpu_milli == 0 {
            self.upto = now;
            return;
        }
        // What lies before the window would fall out of it at once.
        let earliest = now.millis() - slot * i64::try_from(SLOTS).unwrap_or(i64::MAX);
        let mut at = self.upto.millis();
        if at < earliest {
            self.slots = [0; SLOTS];
            at = earliest;
        }
        while at < now.millis() {
            let boundary = (at.div_euclid(slot) + 1) * slot;
            let until = boundary.min(now.millis());
            self.slots[0] += u128::from(vcpu_milli) * u128::from((until - at).unsigned_abs());
            if until == boundary {
                self.slots.rotate_right(1);
                self.slots[0] = 0;
            }
            at = until;
        }
        self.upto = now;
    }

    /// What was held in the window that ends at `now`, with `vcpu_milli` held since the last booking.
    pub(super) fn usage(&self, now: Timestamp, window: Duration, vcpu_milli: u64) -> u128 {
        if slot_millis(window) == 0 {
            return u128::from(vcpu_milli);
        }
        let mut booked = self.clone();
        booked.book(now, window, vcpu_milli);
        booked.slots.iter().sum()
    }
}

fn slot_millis(window: Duration) -> i64 {
    i64::try_from(window.as_millis() / SLOTS as u128).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_millis(seconds * 1000)
    }

    #[test]
    fn the_longest_entry_that_fits_gives_the_weight() {
        let weights = [("team*", 5000), ("team-a*", 2500), ("team-a1", 1), ("*", 20_000)];
        let policy = FairShare { weights: weights.map(|(n, w)| (n.to_owned(), w)).into(), ..FairShare::default() };
        for (share, weight) in [("team-b", 5000), ("team-a2", 2500), ("team-a1", 1), ("other", 20_000)] {
            assert_eq!(policy.weight(&share.into()), weight, "{share}");
        }
        assert_eq!(FairShare::default().weight(&"x".into()), WEIGHT_ONE);
    }

    #[test]
    fn the_reservation_shrinks_with_every_active_share() {
        let policy = |percent| FairShare { compute_reservation: percent, ..FairShare::default() };
        for (percent, active, allowed) in
            [(50, 1, 500), (50, 2, 750), (50, 3, 875), (25, 2, 938), (0, 1, 1000), (99, 1, 10)]
        {
            assert_eq!(policy(percent).allowance(1000, active), allowed, "{percent} {active}");
        }
    }

    #[test]
    fn time_is_booked_and_falls_out_of_the_window() {
        let window = Duration::from_secs(160);
        let mut ledger = Ledger::default();
        ledger.book(at(1000), window, 0);
        ledger.book(at(1030), window, 2000);
        assert_eq!(ledger.usage(at(1030), window, 0), 2000 * 30_000);
        assert_eq!(ledger.usage(at(1040), window, 1000), 2000 * 30_000 + 1000 * 10_000);
        assert_eq!(ledger.usage(at(1150), window, 0), 2000 * 30_000);
        assert_eq!(ledger.usage(at(1170), window, 0), 2000 * 10_000);
        assert_eq!(ledger.usage(at(1_000_000), window, 0), 0);
    }

    #[test]
    fn a_clock_set_back_books_nothing() {
        let window = Duration::from_secs(160);
        let mut ledger = Ledger::default();
        ledger.book(at(1000), window, 0);
        ledger.book(at(500), window, 9);
        assert_eq!(ledger.usage(at(500), window, 9), 0);
    }
}
