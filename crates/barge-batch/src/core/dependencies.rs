//! Jobs that wait for others, and children of arrays (Batch User Guide, "Job dependencies", "Array jobs").
//!
//! - A job depends on jobs that were submitted before it, so cycles can't form.
//! - Where a dependency fails, all that wait for it fail, with AWS's reason. A dependency on a child of an array is one on
//!   that child alone.
//! - Of a SEQUENTIAL array each child waits for the one before it; where one fails, all after it do.
//! - Of an N_TO_N array each child waits for its counterpart; where that fails, only this child fails.
//! - An array ends when all its children have: it has succeeded where all have.

use super::array::{Array, Closed, Tally};
use super::lifecycle::{ARRAY_CHILD_FAILED, DEPENDENCY_FAILED};
use super::queue::Rank;
use super::step::{Ended, Starts, Step};
use super::{Dependency, EndedBy, IndexSet, Job, JobId, JobSpec, Kind, Known, Reason, Refusal, State, Status, Success};
use std::sync::Arc;

/// How a job that others wait for stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// It has not ended.
    Live,
    /// It has; of an array, with the children that succeeded.
    Ended(Success, IndexSet),
}

impl State {
    /// How a job stands; one that the core has forgotten is as the caller knows it.
    fn standing(&self, id: JobId, known: &[(JobId, Known)]) -> Result<Standing, Refusal> {
        if self.jobs.contains_key(&id) {
            return Ok(Standing::Live);
        }
        if let Some((array, index)) = id.parent()
            && let Some(children) = self.jobs.get(&array).and_then(|job| job.array.as_ref())
        {
            return Ok(match (children.succeeded.contains(index), children.failed.contains(index)) {
                (true, _) => Standing::Ended(Success::Yes, IndexSet::default()),
                (_, true) => Standing::Ended(Success::No, IndexSet::default()),
                _ if index < children.size => Standing::Live,
                _ => return Err(Refusal::NoLiveJob(id)),
            });
        }
        match known.iter().find(|(job, _)| *job == id) {
            Some((_, Known::Ended { success, succeeded })) => Ok(Standing::Ended(*success, succeeded.clone())),
            Some((_, Known::Live)) => Err(Refusal::DependencyEnded(id)),
            None => Err(Refusal::NoLiveJob(id)),
        }
    }

    /// Whether a whole job that a live job waits for has succeeded: one that had failed would have ended those that wait.
    fn is_met(&self, id: JobId) -> bool {
        if self.jobs.contains_key(&id) {
            return false;
        }
        match id.parent().and_then(|(array, index)| Some((self.jobs.get(&array)?.array.as_ref()?, index))) {
            Some((children, index)) => children.succeeded.contains(index),
            None => true,
        }
    }

    /// Whether all whole jobs that a job waits for have succeeded.
    pub(super) fn whole_dependencies_met(&self, job: &Job) -> bool {
        job.terms.depends_on.iter().all(|dependency| match dependency {
            Dependency::Whole(id) => self.is_met(*id),
            Dependency::Sequential | Dependency::NToN(_) => true,
        })
    }

    /// Whether a child of an array, whose whole dependencies are met, may start.
    pub(super) fn child_may_start(&self, job: &Job, array: &Array, index: u32) -> bool {
        job.terms.depends_on.iter().all(|dependency| match dependency {
            Dependency::Whole(_) => true,
            Dependency::Sequential => index == 0 || array.succeeded.contains(index - 1),
            Dependency::NToN(other) => self.is_met(other.child(index)),
        })
    }

    /// The children of an array that may start and have no record.
    pub(super) fn startable_children(&self, job: &Job, array: &Array) -> IndexSet {
        if array.closed.is_some() || !self.whole_dependencies_met(job) {
            return IndexSet::default();
        }
        let alike = job.terms.depends_on.iter().all(|dependency| matches!(dependency, Dependency::Whole(_)));
        if alike && array.live.is_empty() && array.succeeded.is_empty() && array.failed.is_empty() {
            return IndexSet::range(0, array.size);
        }
        array.each_unstarted().filter(|index| self.child_may_start(job, array, *index)).collect()
    }
}

impl Step<'_> {
    /// Checks what a new job depends on; gives what has ended, and how.
    pub(super) fn check_dependencies(&self, spec: &JobSpec) -> Result<Vec<(Dependency, Standing)>, Refusal> {
        let size = match spec.terms.kind {
            Kind::Array { size } => Some(size),
            Kind::Single | Kind::Nodes { .. } => None,
        };
        let mut found = Vec::with_capacity(spec.terms.depends_on.len());
        for dependency in &spec.terms.depends_on {
            let standing = match dependency {
                Dependency::Whole(id) => self.state.standing(*id, &spec.known)?,
                Dependency::Sequential => Standing::Live,
                Dependency::NToN(id) => {
                    let other = self.state.jobs.get(id).and_then(|job| job.array.as_ref()).map(|array| array.size);
                    if size.is_none() || other.is_some_and(|other| Some(other) != size) {
                        return Err(Refusal::NotSameArray(*id));
                    }
                    let standing = self.state.standing(*id, &spec.known)?;
                    if standing == Standing::Live && other.is_none() {
                        return Err(Refusal::NotSameArray(*id));
                    }
                    standing
                }
            };
            found.push((*dependency, standing));
        }
        Ok(found)
    }

    /// Lets a new job wait for what it depends on, or in its line, or fail with what has failed.
    pub(super) fn admit(&mut self, id: JobId, dependencies: Vec<(Dependency, Standing)>) {
        let mut lost = IndexSet::default();
        let size = self.job(id).array.as_ref().map_or(0, |array| array.size);
        for (dependency, standing) in dependencies {
            match (dependency, standing) {
                (Dependency::Whole(other) | Dependency::NToN(other), Standing::Live) => {
                    self.state.dependents.entry(other).or_default().insert(id);
                }
                (Dependency::NToN(_), Standing::Ended(_, succeeded)) => {
                    lost.extend((0..size).filter(|index| !succeeded.contains(*index)));
                }
                (Dependency::Whole(_), Standing::Ended(Success::No, _)) => return self.fail_waiting(id),
                (Dependency::Whole(_), Standing::Ended(Success::Yes, _)) | (Dependency::Sequential, _) => {}
            }
        }
        let waits = !self.state.whole_dependencies_met(self.job(id));
        if waits || size > 0 {
            self.advance(id, Status::Pending);
        }
        if size > 0 {
            self.fail_children(id, &lost, &DEPENDENCY_FAILED.into(), None);
        }
        self.release_if_met(id);
    }

    /// Puts a job, or an array's children, in line where nothing is left to wait for.
    fn release_if_met(&mut self, id: JobId) {
        let Some(job) = self.state.jobs.get(&id) else { return };
        if !self.state.whole_dependencies_met(job) {
            return;
        }
        match &job.array {
            Some(array) => {
                let startable = self.state.startable_children(job, array);
                self.set_runnable(id, startable);
            }
            None if matches!(job.status, Status::Submitted | Status::Pending) => {
                self.advance(id, Status::Runnable);
                self.join_line(id);
            }
            None => {}
        }
    }

    /// Puts a waiting job in its queue's line.
    pub(super) fn join_line(&mut self, id: JobId) {
        let job = self.state.jobs.get(&id).expect("a job that waits is there");
        let queue = self.state.queues.get_mut(&job.terms.queue).expect("a live job's queue is there");
        if queue.join(job) == Rank::First {
            self.starts = Starts::Possible;
        }
    }

    fn leave_line(&mut self, id: JobId) {
        let job = self.state.jobs.get(&id).expect("a job that waits is there");
        let queue = self.state.queues.get_mut(&job.terms.queue).expect("a live job's queue is there");
        queue.leave(job);
        self.starts = Starts::Possible;
    }

    fn array(&mut self, id: JobId) -> &mut Array {
        let job = self.state.jobs.get_mut(&id).expect("an array that was just found is there");
        job.array.as_mut().expect("it is an array")
    }

    /// Replaces the set of an array's children that wait for room.
    pub(super) fn set_runnable(&mut self, id: JobId, runnable: IndexSet) {
        self.change_runnable(id, |set| *set = runnable);
    }

    /// Changes the set of an array's children that wait for room; the array stands in line while there are any.
    fn change_runnable(&mut self, id: JobId, change: impl FnOnce(&mut IndexSet)) {
        let runnable = &mut self.array(id).runnable;
        let was = !runnable.is_empty();
        change(runnable);
        let is = !runnable.is_empty();
        match (was, is) {
            (false, true) => self.join_line(id),
            (true, false) => {
                self.unblock(id);
                self.leave_line(id);
            }
            _ => {}
        }
    }

    /// Gives the first waiting child of an array a record; it does not stand in line any more.
    pub(super) fn take_first_child(&mut self, id: JobId) -> JobId {
        let index = self.array(id).runnable.first().expect("an array in line has a child that waits");
        self.record_child(id, index, Status::Runnable)
    }

    fn record_child(&mut self, id: JobId, index: u32, status: Status) -> JobId {
        self.change_runnable(id, |runnable| runnable.remove(index));
        self.array(id).live.insert(index);
        let array = self.job(id);
        let child = Job {
            id: id.child(index),
            seq: array.seq,
            terms: Arc::clone(&array.terms),
            status,
            created_at: array.created_at,
            ..Job::default()
        };
        self.enter(child);
        id.child(index)
    }

    /// Tells those who wait for jobs that have ended, and those who wait for those, and so on.
    pub(super) fn settle_dependents(&mut self) {
        while let Some(ended) = self.ended.pop_front() {
            match ended {
                Ended::Job(id, success) => {
                    if let Some((array, index)) = id.parent() {
                        self.child_ended(array, index, success);
                        self.tell_counterparts(array, &IndexSet::range(index, index + 1), success);
                    }
                    self.tell_dependents(id, success);
                }
                Ended::Unstarted(array, children) => {
                    children.iter().for_each(|index| self.tell_dependents(array.child(index), Success::No));
                    self.tell_counterparts(array, &children, Success::No);
                }
            }
        }
    }

    fn tell_dependents(&mut self, id: JobId, success: Success) {
        for dependent in self.state.dependents.remove(&id).unwrap_or_default() {
            self.dependency_ended(dependent, id, success);
        }
    }

    fn dependency_ended(&mut self, dependent: JobId, on: JobId, success: Success) {
        let Some(job) = self.state.jobs.get(&dependent) else { return };
        // The children of one array that wait for those of another were told one by one.
        let whole = job.terms.depends_on.contains(&Dependency::Whole(on));
        match success {
            Success::No if whole => self.fail_waiting(dependent),
            _ => self.release_if_met(dependent),
        }
    }

    /// Fails a job that waits for one that has failed.
    fn fail_waiting(&mut self, id: JobId) {
        let reason: Reason = DEPENDENCY_FAILED.into();
        if self.job(id).array.is_some() {
            if self.job(id).status == Status::Submitted {
                self.advance(id, Status::Pending);
            }
            self.close(id, &reason, None);
        } else {
            self.edit(id, |job| job.reason = Some(reason));
            self.end(id, Success::No, self.now);
        }
    }

    /// A child of an array has ended.
    fn child_ended(&mut self, id: JobId, index: u32, success: Success) {
        if !self.state.jobs.contains_key(&id) {
            return;
        }
        let array = self.array(id);
        array.live.remove(&index);
        match success {
            Success::Yes => array.succeeded.insert(index),
            Success::No => array.failed.insert(index),
        }
        let job = self.job(id);
        let sequential = job.terms.depends_on.contains(&Dependency::Sequential);
        match success {
            Success::Yes if sequential => {
                let next = index + 1;
                let array = job.array.as_ref().expect("it is an array");
                if array.closed.is_none() && array.is_unstarted(next) && self.state.child_may_start(job, array, next) {
                    self.change_runnable(id, |runnable| runnable.insert(next));
                }
            }
            Success::No if sequential => self.close(id, &DEPENDENCY_FAILED.into(), None),
            _ => {}
        }
        self.end_array_if_done(id);
    }

    /// Tells the arrays whose children wait for these children of `array`.
    fn tell_counterparts(&mut self, array: JobId, children: &IndexSet, success: Success) {
        let dependents: Vec<JobId> = self.state.dependents.get(&array).into_iter().flatten().copied().collect();
        for dependent in dependents {
            let job = self.job(dependent);
            if !job.terms.depends_on.contains(&Dependency::NToN(array)) {
                continue;
            }
            match success {
                Success::No => self.fail_children(dependent, children, &DEPENDENCY_FAILED.into(), None),
                Success::Yes => self.release_children(dependent, children),
            }
        }
    }

    fn release_children(&mut self, id: JobId, children: &IndexSet) {
        let job = self.job(id);
        let Some(array) = job.array.as_ref().filter(|array| array.closed.is_none()) else { return };
        if !self.state.whole_dependencies_met(job) {
            return;
        }
        let ready: Vec<u32> = children
            .iter()
            .filter(|index| array.is_unstarted(*index) && self.state.child_may_start(job, array, *index))
            .collect();
        if !ready.is_empty() {
            self.change_runnable(id, |runnable| runnable.extend(ready));
        }
    }

    /// Fails children that have not started: with a record each, or all that are left together.
    pub(super) fn fail_children(&mut self, id: JobId, children: &IndexSet, reason: &Reason, by: Option<EndedBy>) {
        let array = self.array(id);
        let failing: Vec<u32> = children.iter().filter(|index| array.is_unstarted(*index)).collect();
        if failing.is_empty() {
            return;
        }
        if failing.len() == array.unstarted() as usize && failing.len() > 1 {
            return self.close(id, reason, by);
        }
        for index in failing {
            let child = self.record_child(id, index, Status::Pending);
            self.edit(child, |job| {
                job.reason = Some(reason.clone());
                job.ended_by = by;
            });
            self.end(child, Success::No, self.now);
        }
    }

    /// Fails all children of an array that have not started, without a record for each.
    pub(super) fn close(&mut self, id: JobId, reason: &Reason, by: Option<EndedBy>) {
        let failing: IndexSet = self.array(id).each_unstarted().collect();
        self.set_runnable(id, IndexSet::default());
        let array = self.array(id);
        array.failed.extend(failing.iter());
        let closed = Closed { reason: reason.clone(), by };
        self.edit(id, |job| {
            if let Some(array) = &mut job.array {
                array.closed.get_or_insert(closed);
            }
        });
        self.ended.push_back(Ended::Unstarted(id, failing));
        self.end_array_if_done(id);
    }

    fn end_array_if_done(&mut self, id: JobId) {
        let Some(array) = self.state.jobs.get(&id).and_then(|job| job.array.as_ref()) else { return };
        if !array.is_done() {
            return;
        }
        let tally = Tally { succeeded: array.succeeded.len(), failed: array.failed.len() };
        let closed = array.closed.clone();
        let success = if tally.failed == 0 { Success::Yes } else { Success::No };
        self.edit(id, |job| {
            if let Some(array) = &mut job.array {
                array.tally = Some(tally);
            }
            job.reason = match (success, closed) {
                (Success::Yes, _) => None,
                (Success::No, Some(closed)) => Some(closed.reason),
                (Success::No, None) => Some(ARRAY_CHILD_FAILED.into()),
            };
        });
        self.end(id, success, self.now);
    }

    /// Takes a job that waits out of its line, and ends it.
    pub(super) fn end_waiting(&mut self, id: JobId, reason: &Reason, by: EndedBy) {
        if self.job(id).status == Status::Runnable {
            self.leave_line(id);
        }
        self.edit(id, |job| {
            job.reason = Some(reason.clone());
            job.ended_by = Some(by);
        });
        self.end(id, Success::No, self.now);
    }
}
