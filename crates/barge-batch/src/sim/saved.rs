//! What a simulation has saved, as a store would: it gives back what was saved last, and nothing else.

use crate::core::{
    Consumable, ConsumableId, Effect, EnvironmentId, EnvironmentSpec, Fleet, IndexSet, Job, JobId, Ledger, QueueId,
    QueueSpec, Saved, Settled, ShareId, Status,
};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// Rows in memory.
#[derive(Clone, Debug, Default)]
pub(super) struct Rows {
    pub(super) environments: BTreeMap<EnvironmentId, EnvironmentSpec>,
    pub(super) queues: BTreeMap<QueueId, QueueSpec>,
    pub(super) deleting: BTreeMap<QueueId, QueueSpec>,
    pub(super) jobs: HashMap<JobId, Job>,
    /// Jobs that have not ended.
    live: BTreeSet<JobId>,
    fleets: BTreeMap<EnvironmentId, Fleet>,
    shares: BTreeMap<(QueueId, ShareId), Ledger>,
    consumables: BTreeMap<ConsumableId, Consumable>,
    last_seq: u64,
}

impl Rows {
    /// Keeps what the effect asks to keep.
    ///
    /// # Panics
    /// Where a job that has ended changes, or a queue goes that nobody deleted.
    pub(super) fn keep(&mut self, effect: &Effect) {
        match effect {
            Effect::Save(job) => {
                self.last_seq = self.last_seq.max(job.seq);
                if job.status.is_final() {
                    self.live.remove(&job.id);
                } else {
                    self.live.insert(job.id);
                }
                let before = self.jobs.insert(job.id, (**job).clone());
                assert!(before.is_none_or(|job| !job.status.is_final()), "a job that has ended changes");
            }
            Effect::SaveFleet(id, fleet) => drop(self.fleets.insert(id.clone(), fleet.clone())),
            Effect::SaveShare(queue, share, ledger) => {
                let key = (queue.clone(), share.clone());
                match ledger {
                    Some(ledger) => drop(self.shares.insert(key, (**ledger).clone())),
                    None => drop(self.shares.remove(&key)),
                }
            }
            Effect::SaveConsumable(id, Some(consumable)) => drop(self.consumables.insert(id.clone(), *consumable)),
            Effect::SaveConsumable(id, None) => drop(self.consumables.remove(id)),
            Effect::QueueGone(id) => {
                assert!(self.deleting.remove(id).is_some(), "a queue goes that nobody deleted");
                self.shares.retain(|(queue, _), _| queue != id);
            }
            Effect::Emit(_)
            | Effect::QueueBlocked(_)
            | Effect::Launch(..)
            | Effect::Adopt(..)
            | Effect::Stop(_)
            | Effect::Forget(_)
            | Effect::SetTimer(_) => {}
        }
    }

    /// Everything saved. Rows lose what is not written to them, as a store's do.
    pub(super) fn saved(&self) -> Saved {
        let fleet = |id| {
            let fleet: &Fleet = self.fleets.get(id)?;
            serde_json::from_str(&serde_json::to_string(fleet).ok()?).ok()
        };
        let mut live: Vec<&Job> = self.live.iter().filter_map(|id| self.jobs.get(id)).collect();
        live.sort_by_key(|job| (job.seq, job.id.parent().map(|(_, index)| index)));
        Saved {
            environments: self
                .environments
                .values()
                .map(|spec| (spec.clone(), fleet(&spec.id).unwrap_or_default()))
                .collect(),
            queues: self.queues.values().cloned().collect(),
            deleting: self.deleting.values().cloned().collect(),
            shares: self
                .shares
                .iter()
                .map(|((queue, share), ledger)| (queue.clone(), share.clone(), ledger.clone()))
                .collect(),
            consumables: self
                .consumables
                .iter()
                .map(|(id, found)| (id.clone(), Consumable { in_use: 0, ..*found }))
                .collect(),
            settled: live.iter().filter(|job| job.array.is_some()).map(|job| self.settled(job.id)).collect(),
            jobs: live.into_iter().map(row).collect(),
            last_seq: self.last_seq,
        }
    }

    fn settled(&self, array: JobId) -> Settled {
        let (mut succeeded, mut failed) = (IndexSet::default(), IndexSet::default());
        let size = self.jobs[&array].array.as_ref().map_or(0, |array| array.size);
        for index in 0..size {
            match self.jobs.get(&array.child(index)).map(|job| job.status) {
                Some(Status::Succeeded) => succeeded.insert(index),
                Some(Status::Failed) => failed.insert(index),
                _ => {}
            }
        }
        Settled { array, succeeded, failed }
    }
}

/// A job as its row has it.
fn row(job: &Job) -> Job {
    let text = serde_json::to_string(job).expect("jobs can be written");
    let kept: Job = serde_json::from_str(&text).expect("what was written can be read");
    Job { terms: std::sync::Arc::new((*job.terms).clone()), ..kept }
}
