//! Who starts next, and where.
//!
//! - Queues are looked at by priority, the highest first. Of queues of equal priority the one goes on whose next job was
//!   submitted first. So a queue of lower priority may use room that is too small for a job of higher priority, as AWS documents (API
//!   Reference, "JobQueueDetail", `priority`).
//! - Within a queue the next job is the one submitted first, or as [`super::share`] says.
//! - A job goes to the first of its queue's compute environments, in the queue's order, that is enabled, of the job's
//!   platform, large enough, and has room below its maximum of vCPUs. The machine's own room bounds all of it ([`super::pool`]).
//! - Where there is no room for the next job of a queue, room is held for it ([`super::hold`]): jobs behind it, in its queue and in
//!   queues of equal or lower priority, start as long as they leave that room. Large jobs so do not starve, and small ones fill holes.
//!   Queues of higher priority don't care. AWS's own scheduler holds nothing.
//! - A job that no enabled environment, or not the machine, could hold even when empty does not block others; it waits with
//!   AWS's MISCONFIGURATION reason until something changes. So does one that waits for a consumable resource, but those
//!   behind it that need the same resource wait too.
//! - A queue none of whose environments is enabled waits.
//!
//! Bound: a job that is next in its queue starts at the latest when the attempts that ran when it became next have ended, plus what
//! queues of higher priority start meanwhile.

use super::fleet::{Seat, Seats};
use super::hold::{Hold, Reserved, Wanted};
use super::pool::Room;
use super::queue::Place;
use super::state::State;
use super::step::Step;
use super::{
    Blockage, Blocked, ConsumableId, Effect, EndedBy, Environment, EnvironmentId, InstanceId, Job, JobId, QueueId,
    Reason, Shape, ShareId, Switch, Told, Usage,
};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// What can be done for the next job of a queue.
#[derive(Debug)]
enum Verdict {
    Start(EnvironmentId, Seats),
    /// It can't start for this reason; room is to be held for it in this environment, where that helps.
    Blocked(Blockage, Option<EnvironmentId>),
    /// It could start, but room is held for another.
    Held,
    /// Nothing of its queue can start.
    Closed,
}

/// A queue during one pass.
#[derive(Debug, Default)]
struct Cursor {
    /// Shapes that nothing more can start of.
    done: BTreeSet<Arc<Shape>>,
    /// What each share had used when the pass began.
    booked: BTreeMap<ShareId, u128>,
    holds: bool,
}

/// One pass over everything that waits.
#[derive(Debug, Default)]
struct Pass {
    reserved: Vec<Reserved>,
    /// Resources that someone waits for.
    contended: BTreeSet<ConsumableId>,
}

impl Step<'_> {
    /// Starts what there is room for, from every queue.
    pub(super) fn schedule(&mut self) {
        let mut by_priority: BTreeMap<Reverse<i32>, Vec<QueueId>> = BTreeMap::new();
        for queue in self.state.queues.values() {
            by_priority.entry(Reverse(queue.spec.priority)).or_default().push(queue.spec.id.clone());
        }
        let mut pass = Pass::default();
        for queues in by_priority.into_values() {
            self.serve(queues, &mut pass);
        }
    }

    /// Starts what there is room for, from queues of equal priority.
    fn serve(&mut self, queues: Vec<QueueId>, pass: &mut Pass) {
        let mut cursors: BTreeMap<QueueId, Cursor> =
            queues.into_iter().map(|id| (id.clone(), self.state.cursor(&id, self.now))).collect();
        let mut turns: BTreeSet<(u64, QueueId)> = cursors
            .iter()
            .filter_map(|(id, cursor)| Some((self.state.next(id, cursor)?.0.seq(), id.clone())))
            .collect();
        while let Some((_, id)) = turns.pop_first() {
            let cursor = cursors.get_mut(&id).expect("each queue has a cursor");
            let Some((_, job)) = self.state.next(&id, cursor) else { continue };
            match self.state.verdict(&id, job, pass) {
                Verdict::Start(environment, seats) => self.start(job, &environment, seats),
                Verdict::Blocked(why, environment) => self.block(job, why, environment, cursor, pass),
                Verdict::Held => {
                    self.clear_other_blockage(job);
                    cursor.done.insert(Arc::clone(&self.job(job).terms.shape));
                }
                Verdict::Closed => continue,
            }
            turns.extend(self.state.next(&id, cursor).map(|(place, _)| (place.seq(), id)));
        }
    }

    fn start(&mut self, id: JobId, environment: &EnvironmentId, seats: Seats) {
        let job = self.job(id);
        if job.array.is_some() {
            self.unblock(id);
            let child = self.take_first_child(id);
            self.place(child, environment, seats);
        } else {
            let job = self.state.jobs.get(&id).expect("a job in line is there");
            self.state.queues.get_mut(&job.terms.queue).expect("a live job's queue is there").leave(job);
            self.place(id, environment, seats);
        }
    }

    /// Notes why the first job of a line does not start, and holds room for the first job of its queue.
    fn block(
        &mut self,
        id: JobId,
        why: Blockage,
        environment: Option<EnvironmentId>,
        cursor: &mut Cursor,
        pass: &mut Pass,
    ) {
        let shape = Arc::clone(&self.job(id).terms.shape);
        cursor.done.insert(Arc::clone(&shape));
        pass.contended
            .extend(shape.consumables.iter().map(|(id, _)| id.clone()).filter(|_| !why.is_misconfiguration()));
        let first = why.holds_room() && !cursor.holds;
        cursor.holds |= first;
        if !why.holds_room() || first {
            self.mark(id, why);
        } else {
            self.clear_other_blockage(id);
        }
        if let (true, Some(environment)) = (first, environment) {
            pass.reserved.push(Reserved { job: id, tasks: shape.tasks.clone(), environment });
        }
    }

    fn mark(&mut self, id: JobId, why: Blockage) {
        let before = self.job(id).blocked.as_deref();
        if before.is_some_and(|blocked| blocked.why == why) {
            return;
        }
        // Room held so far stays held where only what is short has changed.
        let since = before.filter(|blocked| blocked.why.holds_room() && why.holds_room());
        let (since, after) = since.map_or((self.now, self.state.next_order), |blocked| (blocked.since, blocked.after));
        if why.holds_room() {
            self.state.holds.entry(id).or_insert_with(|| Hold::new(after));
        } else {
            self.state.holds.remove(&id);
        }
        let at_once = why.is_misconfiguration();
        self.edit(id, |job| {
            job.blocked = Some(Box::new(Blocked { since, after, why, told: Told::NotYet }));
            job.reason = None;
        });
        if at_once {
            self.tell_blocked(id);
        }
    }

    /// Forgets that a job was blocked by something that is no longer so, where it now waits for room like others.
    fn clear_other_blockage(&mut self, id: JobId) {
        if self.job(id).blocked.as_ref().is_some_and(|blocked| !blocked.why.holds_room()) {
            self.unblock(id);
        }
    }

    /// Forgets that a job was blocked: it goes on.
    pub(super) fn unblock(&mut self, id: JobId) {
        if self.job(id).blocked.is_some() {
            self.forget_blockage(id);
            self.edit(id, |job| job.reason = None);
        }
    }

    /// Forgets that a job was blocked, whatever the reason of its state is now.
    pub(super) fn forget_blockage(&mut self, id: JobId) {
        self.state.holds.remove(&id);
        if self.job(id).blocked.is_some() {
            self.edit(id, |job| job.blocked = None);
        }
    }

    /// Tells the world that a job blocks its queue, and why.
    pub(super) fn tell_blocked(&mut self, id: JobId) {
        self.edit(id, |job| {
            if let Some(blocked) = &mut job.blocked {
                blocked.told = Told::Yes;
                job.reason = blocked.why.reason();
            }
        });
        let job = Box::new(self.job(id).clone());
        self.effects.push(Effect::QueueBlocked(job));
    }

    /// Ends a job that has blocked its queue for longer than the queue allows.
    pub(super) fn end_blocked(&mut self, id: JobId) {
        let code = self.job(id).blocked.as_ref().and_then(|blocked| blocked.why.code()).unwrap_or_default();
        let reason: Reason = format!("Canceled by JobStateTimeLimit action due to reason: {code}").into();
        if self.job(id).array.is_some() {
            self.cancel_array(id, &reason);
        } else {
            self.end_waiting(id, &reason, EndedBy::Cancel);
        }
    }
}

impl State {
    fn cursor(&self, id: &QueueId, now: barge_core::Timestamp) -> Cursor {
        let queue = &self.queues[id];
        let mut cursor = Cursor::default();
        if let Some(policy) = queue.policy() {
            let booked = queue.shares.iter().filter(|(_, share)| !share.lines.is_empty());
            cursor.booked =
                booked.map(|(id, share)| (id.clone(), share.ledger.usage(now, policy.decay, share.held))).collect();
        }
        cursor
    }

    /// The job that comes next in a queue, and its place.
    fn next(&self, id: &QueueId, cursor: &Cursor) -> Option<(Place, JobId)> {
        let queue = &self.queues[id];
        let first = |share: &super::Share| {
            let lines = share.lines.iter().filter(|(shape, _)| !cursor.done.contains(*shape));
            lines.filter_map(|(_, line)| line.first_key_value().map(|(place, job)| (*place, *job))).min()
        };
        let Some(policy) = queue.policy() else { return queue.shares.values().find_map(first) };
        let candidates = queue.shares.iter().filter_map(|(id, share)| {
            let booked = cursor.booked.get(id).copied().unwrap_or_default();
            Some((policy.rank(id, booked, share.held), id, first(share)?))
        });
        candidates.min().map(|(_, _, next)| next)
    }

    fn verdict(&self, queue: &QueueId, job: JobId, pass: &Pass) -> Verdict {
        let (queue, job) = (&self.queues[queue], &self.jobs[&job]);
        let shape = &job.terms.shape;
        let wanted = Usage::of(&shape.tasks);
        let open: Vec<&Environment> = self.open_environments(&queue.spec.environments, job).collect();
        if open.is_empty() {
            return Verdict::Closed;
        }
        let large: Vec<&Environment> =
            open.iter().copied().filter(|environment| environment.could_ever_hold(&shape.tasks)).collect();
        if !self.machine.could_ever_hold(wanted) || open.iter().all(|open| !open.has_type_for(&shape.tasks)) {
            return Verdict::Blocked(Blockage::Requirements, None);
        }
        let Some(preferred) = large.first().map(|environment| environment.spec.id.clone()) else {
            return Verdict::Blocked(Blockage::MaxVcpus, None);
        };
        if let Some(missing) = self.missing_consumable(shape, &pass.contended) {
            return Verdict::Blocked(Blockage::Consumable(missing), None);
        }
        if self.is_beyond_allowance(queue, wanted) {
            return Verdict::Closed;
        }
        let Some((environment, seats)) = large.iter().find_map(|environment| match environment.room(&shape.tasks) {
            Room::Here(seats) => Some((*environment, seats)),
            Room::Full => None,
        }) else {
            return Verdict::Blocked(Blockage::Environments, Some(preferred));
        };
        if !self.machine.has_room(self.used, wanted) {
            return Verdict::Blocked(Blockage::Machine, Some(preferred));
        }
        if self.leaves_all_room(job, environment, &seats, pass) {
            return Verdict::Start(environment.spec.id.clone(), seats);
        }
        Verdict::Held
    }

    fn leaves_all_room(&self, job: &Job, environment: &Environment, seats: &Seats, pass: &Pass) -> bool {
        if pass.reserved.is_empty() {
            return true;
        }
        let on = |seat: &Seat| if let Seat::On(id) = seat { Some(*id) } else { None };
        let launched = |seat: &Seat| if let Seat::New(kind) = seat { u64::from(kind.vcpu_milli) } else { 0 };
        let wanted = Wanted {
            tasks: &job.terms.shape.tasks,
            environment,
            instances: seats.tasks.iter().filter_map(on).collect::<Vec<InstanceId>>(),
            launched: seats.tasks.iter().map(launched).sum(),
        };
        pass.reserved.iter().all(|reserved| self.leaves_room(reserved, &wanted))
    }

    /// A consumable resource of which not enough is free, or that someone before waits for.
    fn missing_consumable(&self, shape: &Shape, contended: &BTreeSet<ConsumableId>) -> Option<ConsumableId> {
        let short = |(id, quantity): &&(ConsumableId, u64)| {
            contended.contains(id)
                || self.consumables.get(id).is_none_or(|consumable| consumable.available() < *quantity)
        };
        shape.consumables.iter().find(short).map(|(id, _)| id.clone())
    }

    /// Whether a fair-share queue would hold more than its policy's compute reservation leaves.
    fn is_beyond_allowance(&self, queue: &super::Queue, wanted: Usage) -> bool {
        let Some(policy) = queue.policy().filter(|policy| policy.compute_reservation > 0) else { return false };
        let held: u64 = queue.shares.values().map(|share| share.held).sum();
        let environments = queue.spec.environments.iter().filter_map(|id| self.environments.get(id));
        let max = environments.map(|environment| environment.spec.max_vcpu_milli).sum();
        held > 0 && held + wanted.vcpu_milli > policy.allowance(max, queue.shares.len())
    }

    pub(super) fn open_environments<'a>(
        &'a self,
        order: &'a [EnvironmentId],
        job: &Job,
    ) -> impl Iterator<Item = &'a Environment> {
        let platform = job.terms.shape.platform;
        order.iter().filter_map(|id| self.environments.get(id)).filter(move |environment| {
            environment.spec.switch == Switch::Enabled && environment.spec.kind.platform() == platform
        })
    }
}
