//! All that the core knows, and the one way to change it.

use super::hold::Hold;
use super::step::Step;
use super::timer::Timer;
use super::{
    Consumable, ConsumableId, Effect, Environment, EnvironmentId, Event, Job, JobId, Machine, Queue, QueueId, Refusal,
    Status, Usage,
};
use barge_core::Timestamp;
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// What the core knows: queues, environments, and jobs that have not ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct State {
    pub(super) machine: Machine,
    pub(super) used: Usage,
    pub(super) environments: BTreeMap<EnvironmentId, Environment>,
    pub(super) queues: BTreeMap<QueueId, Queue>,
    pub(super) consumables: BTreeMap<ConsumableId, Consumable>,
    pub(super) jobs: HashMap<JobId, Job>,
    /// Jobs whose attempt holds resources.
    pub(super) live: BTreeSet<JobId>,
    /// Arrays.
    pub(super) arrays: BTreeSet<JobId>,
    /// For each job that others wait for, those others.
    pub(super) dependents: HashMap<JobId, BTreeSet<JobId>>,
    pub(super) timers: BTreeSet<(Timestamp, Timer)>,
    /// For each job that room is held for, what was placed while it waited.
    pub(super) holds: BTreeMap<JobId, Hold>,
    pub(super) next_seq: u64,
    pub(super) next_order: u64,
}

/// Changes `state` by one event at the moment `now`, and says what is to be done. A refused command changes nothing.
///
/// Costs O(log n) in the jobs waiting where no room has become free; otherwise O(lines), a line being the jobs of one queue,
/// share and shape.
pub fn apply(state: &mut State, now: Timestamp, event: Event) -> Result<Vec<Effect>, Refusal> {
    let mut step = Step::begin(state, now);
    match event {
        Event::PutEnvironment(spec) => step.put_environment(spec)?,
        Event::ReplaceInstances(spec, grace) => step.replace_instances(spec, grace)?,
        Event::DeleteEnvironment(id) => step.delete_environment(&id)?,
        Event::PutQueue(spec) => step.put_queue(spec)?,
        Event::DeleteQueue(id) => step.delete_queue(&id)?,
        Event::PutConsumable(id, consumable) => step.put_consumable(id, consumable),
        Event::DeleteConsumable(id) => step.delete_consumable(&id)?,
        Event::SetMachine(machine) => step.set_machine(machine),
        Event::Submit(spec) => step.submit(spec)?,
        Event::Cancel { job, reason } => step.cancel(job, &reason)?,
        Event::Terminate { job, reason } => step.terminate(job, &reason)?,
        Event::Interrupt(what) => step.interrupt(&what)?,
        Event::TaskStarted { task, at } => step.task_started(task, at.min(now)),
        Event::TaskEnded { task, at, outcome } => step.task_ended(task, at.min(now), outcome),
        Event::Tick => step.tick(),
    }
    Ok(step.finish())
}

impl State {
    /// Nothing but a machine.
    pub fn new(machine: Machine) -> Self {
        Self {
            machine,
            used: Usage::default(),
            environments: BTreeMap::new(),
            queues: BTreeMap::new(),
            consumables: BTreeMap::new(),
            jobs: HashMap::new(),
            live: BTreeSet::new(),
            arrays: BTreeSet::new(),
            dependents: HashMap::new(),
            timers: BTreeSet::new(),
            holds: BTreeMap::new(),
            next_seq: 1,
            next_order: 1,
        }
    }

    /// A job that has not ended; of an array's children, one that has a record.
    pub fn job(&self, id: JobId) -> Option<&Job> {
        self.jobs.get(&id)
    }

    /// Every job that has not ended, in no order; children of arrays as far as they have a record.
    pub fn jobs(&self) -> impl Iterator<Item = &Job> {
        self.jobs.values()
    }

    /// The jobs whose attempt holds resources.
    pub fn live_jobs(&self) -> impl Iterator<Item = &Job> {
        self.live.iter().filter_map(|id| self.jobs.get(id))
    }

    /// How many jobs of a queue are in which state: children of arrays, not the arrays themselves. Costs O(arrays).
    pub fn census(&self, queue: &QueueId) -> BTreeMap<Status, u64> {
        let mut counts: BTreeMap<Status, u64> = Status::ALL.map(|status| (status, 0)).into();
        let Some(found) = self.queues.get(queue) else { return counts };
        for (status, count) in &found.tally {
            *counts.entry(*status).or_default() += count;
        }
        for id in &self.arrays {
            let array = self.jobs.get(id).filter(|job| job.terms.queue == *queue).and_then(|job| job.array.as_ref());
            if let Some(array) = array {
                let runnable = array.runnable.len();
                *counts.entry(Status::Runnable).or_default() += u64::from(runnable);
                *counts.entry(Status::Pending).or_default() += u64::from(array.unstarted() - runnable);
            }
        }
        counts.retain(|status, _| !status.is_final());
        counts
    }

    /// A queue, also one that was deleted and is not empty yet.
    pub fn queue(&self, id: &QueueId) -> Option<&Queue> {
        self.queues.get(id)
    }

    /// Every queue.
    pub fn queues(&self) -> impl Iterator<Item = &Queue> {
        self.queues.values()
    }

    /// A compute environment.
    pub fn environment(&self, id: &EnvironmentId) -> Option<&Environment> {
        self.environments.get(id)
    }

    /// Every compute environment.
    pub fn environments(&self) -> impl Iterator<Item = &Environment> {
        self.environments.values()
    }

    /// A consumable resource.
    pub fn consumable(&self, id: &ConsumableId) -> Option<&Consumable> {
        self.consumables.get(id)
    }

    /// The queues that refer to a compute environment.
    pub fn queues_of<'a>(&'a self, id: &'a EnvironmentId) -> impl Iterator<Item = &'a Queue> {
        self.queues.values().filter(move |queue| queue.spec.environments.contains(id))
    }

    /// What all attempts hold of the machine.
    pub fn used(&self) -> Usage {
        self.used
    }

    /// The machine.
    pub fn machine(&self) -> Machine {
        self.machine
    }

    /// When [`Event::Tick`] is due next.
    pub fn next_deadline(&self) -> Option<Timestamp> {
        self.timers.first().map(|(at, _)| *at)
    }

    /// How many of an array's children are in which state; `None` where it has ended or is none.
    pub fn summary(&self, array: JobId) -> Option<BTreeMap<Status, u32>> {
        let children = self.jobs.get(&array)?.array.as_ref()?;
        let live = children.live.iter().filter_map(|index| self.jobs.get(&array.child(*index)));
        Some(children.summary(live.map(|child| child.status)))
    }
}
