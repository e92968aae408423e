//! Who starts next, and where.
//!
//! - Queues are looked at by priority, the highest first; queues of equal priority by whose first job was submitted first.
//! - Within a queue the job submitted first goes first. Where there is no room for it now, the queue waits for it, and the
//!   next queue is looked at: a queue of lower priority may use room that is too small for a job of higher priority, as AWS
//!   documents (API Reference, "JobQueueDetail", `priority`).
//! - A job goes to the first of its queue's compute environments, in the queue's order, that is enabled, of the job's
//!   platform, and has room below its maximum of vCPUs.
//! - The machine's own room bounds all of it ([`super::pool`]).
//! - A job that no enabled environment, or not the machine, could hold even when empty waits aside with AWS's
//!   MISCONFIGURATION reason; those behind it go on. It is looked at again when something about queue, environments or
//!   machine changes. AWS would let it block its queue; an operator gains nothing from that.
//! - A queue none of whose environments is enabled waits.

use super::state::{State, Step};
use super::{Effect, EnvironmentId, Job, JobId, LiveAttempt, Misfit, QueueId, Status, Switch};
use std::cmp::Reverse;
use std::collections::BTreeSet;

/// What can be done for the first job of a queue.
enum Verdict {
    Start(EnvironmentId),
    SetAside(Misfit),
    Wait,
}

impl Step<'_> {
    /// Starts what there is room for, from every queue.
    pub(super) fn schedule_all(&mut self) {
        let mut turns: BTreeSet<(Reverse<i32>, u64, QueueId)> = BTreeSet::new();
        for queue in self.state.queues.values() {
            turns.extend(queue.head().map(|(seq, _)| (Reverse(queue.spec.priority), seq, queue.spec.id.clone())));
        }
        while let Some((priority, _, id)) = turns.pop_first() {
            if self.serve_head(&id) {
                let next = self.queue(&id).head();
                turns.extend(next.map(|(seq, _)| (priority, seq, id)));
            }
        }
    }

    /// Starts what there is room for, from one queue: enough where no room has become free.
    pub(super) fn schedule_one(&mut self, id: &QueueId) {
        while self.serve_head(id) {}
    }

    /// Starts the first job of a queue or sets it aside; false where it must wait or nobody is in line.
    fn serve_head(&mut self, id: &QueueId) -> bool {
        let Some((seq, job)) = self.queue(id).head() else { return false };
        match self.state.verdict(id, job) {
            Verdict::Wait => false,
            Verdict::SetAside(misfit) => {
                let queue = self.queue(id);
                queue.waiting.remove(&seq);
                queue.aside.insert(seq, job);
                let told = self.job(job);
                told.aside = Some(misfit);
                told.reason = Some(misfit.reason().into());
                self.touch(job);
                true
            }
            Verdict::Start(environment) => {
                self.queue(id).leave(seq);
                self.place(job, environment);
                true
            }
        }
    }

    fn place(&mut self, id: JobId, environment: EnvironmentId) {
        let job = self.job(id);
        let number = u32::try_from(job.past.len()).expect("attempts are few") + 1;
        let needs = job.needs;
        job.live = Some(LiveAttempt { number, environment: environment.clone(), started_at: None, stopping: None });
        let attempt = job.live_id().expect("it was just made");
        self.environment(&environment).used.take(needs);
        self.state.used.take(needs);
        let limit = self.state.machine.memory_mib;
        assert!(self.state.used.memory_mib <= limit, "more than the machine's {limit} MiB is given out");
        self.advance(id, Status::Starting);
        self.effects.push(Effect::Launch(attempt, environment));
    }
}

impl State {
    fn verdict(&self, queue: &QueueId, job: JobId) -> Verdict {
        let (queue, job) = (&self.queues[queue], &self.jobs[&job]);
        if !self.machine.could_ever_hold(job.needs) {
            return Verdict::SetAside(Misfit::Memory);
        }
        let mut open = self.open_environments(queue.spec.environments.iter(), job).peekable();
        if open.peek().is_none() {
            return Verdict::Wait;
        }
        let mut large_enough = open.filter(|environment| environment.could_ever_hold(job.needs)).peekable();
        if large_enough.peek().is_none() {
            return Verdict::SetAside(Misfit::MaxVcpus);
        }
        if !self.machine.has_room(self.used, job.needs) {
            return Verdict::Wait;
        }
        large_enough
            .find(|environment| environment.has_room(job.needs))
            .map_or(Verdict::Wait, |environment| Verdict::Start(environment.spec.id.clone()))
    }

    fn open_environments<'a>(
        &'a self,
        order: impl Iterator<Item = &'a EnvironmentId>,
        job: &Job,
    ) -> impl Iterator<Item = &'a super::Environment> {
        let platform = job.platform;
        order.filter_map(|id| self.environments.get(id)).filter(move |environment| {
            environment.spec.switch == Switch::Enabled && environment.spec.kind.platform() == platform
        })
    }
}
