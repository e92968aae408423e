//! Attempts: placed, started, stopped, ended; and what they hold meanwhile.

use super::fleet::{Condition, Seat, Seats};
use super::lifecycle::{EXITED, NOT_STARTED, OUT_OF_MEMORY, TIMED_OUT};
use super::retry::Exit;
use super::step::{Starts, Step};
use super::{
    AttemptId, Effect, EnvironmentId, ExitAction, Job, JobId, LiveAttempt, LiveTask, Memory, Needs, Outcome,
    PastAttempt, PastTask, Reason, Status, StopCause, Success, TaskId,
};
use barge_core::Timestamp;

impl Step<'_> {
    /// Gives a waiting job what it needs in an environment that has room, and starts it.
    pub(super) fn place(&mut self, id: JobId, environment: &EnvironmentId, seats: Seats) {
        self.unblock(id);
        let instances = self.take_seats(environment, seats);
        let (terms, number) = {
            let job = self.job(id);
            (job.terms.clone(), u32::try_from(job.past.len()).expect("attempts are few") + 1)
        };
        let task = |node: usize| LiveTask { instance: instances.get(node).copied(), ..LiveTask::default() };
        let live = LiveAttempt {
            number,
            environment: environment.clone(),
            placed_at: self.now,
            order: self.state.next_order,
            tasks: (0..terms.shape.tasks.len()).map(task).collect(),
            stopping: None,
        };
        self.state.next_order += 1;
        self.book(&terms.queue, &terms.share);
        for (needs, task) in terms.shape.tasks.iter().zip(&live.tasks) {
            self.state.used.take(*needs);
            self.environment(environment).take(*needs, task.instance);
            self.state.holds.values_mut().for_each(|hold| hold.take(&live, *needs, task.instance));
            self.queue(&terms.queue).share(&terms.share).held += u64::from(needs.vcpu_milli);
        }
        for (consumable, quantity) in &terms.shape.consumables {
            self.state.consumables.get_mut(consumable).expect("it was available").take(*quantity);
        }
        let limit = self.state.machine.memory_mib;
        assert!(self.state.used.memory_mib <= limit, "more than the machine's {limit} MiB is given out");
        self.edit(id, |job| {
            job.live = Some(Box::new(live));
            job.reason = None;
        });
        self.state.live.insert(id);
        self.advance(id, Status::Starting);
        let tasks: Vec<TaskId> = self.job(id).live_tasks().map(|(task, ..)| task).collect();
        self.effects.extend(tasks.into_iter().map(|task| Effect::Launch(task, environment.clone())));
    }

    /// Lets instances go and launches others, as the seats say; gives the instance for each task, where there are any.
    fn take_seats(&mut self, id: &EnvironmentId, seats: Seats) -> Vec<super::InstanceId> {
        if seats.tasks.is_empty() {
            return Vec::new();
        }
        for instance in seats.let_go {
            self.let_go(id, instance);
        }
        let mut instances = Vec::with_capacity(seats.tasks.len());
        for seat in seats.tasks {
            instances.push(match seat {
                Seat::On(instance) => instance,
                Seat::With(task) => instances[task],
                Seat::New(kind) => self.launch_instance(id, kind),
            });
        }
        for instance in &instances {
            self.unschedule_idle(id, *instance);
        }
        instances
    }

    pub(super) fn stop(&mut self, id: JobId, cause: StopCause) {
        let tasks: Vec<TaskId> = self.job(id).live_tasks().map(|(task, ..)| task).collect();
        self.edit(id, |job| {
            if let Some(live) = &mut job.live {
                live.stopping = Some(cause);
            }
        });
        self.effects.extend(tasks.into_iter().map(Effect::Stop));
    }

    /// The job whose live attempt has this task, where the task has not ended.
    fn live(&self, task: TaskId) -> Option<&Job> {
        let job = self.state.jobs.get(&task.attempt.job)?;
        let live = job.live.as_ref().filter(|_| job.live_id() == Some(task.attempt))?;
        live.tasks.get(usize::from(task.node)).filter(|task| task.ended.is_none()).map(|_| job)
    }

    pub(super) fn task_started(&mut self, task: TaskId, at: Timestamp) {
        let Some(job) = self.live(task) else { return };
        let started = |job: &Job| job.live.as_ref().and_then(|live| live.tasks[usize::from(task.node)].started_at);
        if started(job).is_some() {
            return;
        }
        let is_main = job.terms.main_node() == task.node;
        let id = task.attempt.job;
        self.edit(id, |job| {
            if let Some(live) = &mut job.live {
                live.tasks[usize::from(task.node)].started_at = Some(at);
            }
            if is_main {
                job.started_at = Some(at);
            }
        });
        if is_main {
            self.advance(id, Status::Running);
        }
    }

    pub(super) fn task_ended(&mut self, task: TaskId, at: Timestamp, outcome: Outcome) {
        self.effects.push(Effect::Forget(task));
        if self.live(task).is_none() {
            return;
        }
        if matches!(outcome, Outcome::Exited { .. }) {
            self.task_started(task, at);
        }
        let ran = matches!(outcome, Outcome::Exited { .. });
        self.release(task, at, outcome);
        self.starts = Starts::Possible;
        let job = self.job(task.attempt.job);
        let live = job.live.as_ref().expect("the attempt is live");
        if live.tasks.iter().all(|task| task.ended.is_some()) {
            self.attempt_ended(task.attempt, at);
        } else if live.stopping.is_none() {
            match (ran, task.node == job.terms.main_node()) {
                (true, true) => self.stop(task.attempt.job, StopCause::MainEnded),
                (false, _) => self.stop(task.attempt.job, StopCause::NodeFailed),
                (true, false) => {}
            }
        }
    }

    /// Gives back what the task holds and writes down how it ended.
    fn release(&mut self, task: TaskId, at: Timestamp, outcome: Outcome) {
        let id = task.attempt.job;
        let node = usize::from(task.node);
        let job = self.job(id);
        let terms = job.terms.clone();
        let live = job.live.clone().expect("the attempt is live");
        let (needs, instance) = (terms.shape.tasks[node], live.tasks[node].instance);
        self.book(&terms.queue, &terms.share);
        self.queue(&terms.queue).share(&terms.share).held -= u64::from(needs.vcpu_milli);
        self.state.used.give_back(needs);
        self.state.holds.values_mut().for_each(|hold| hold.give_back(&live, needs, instance));
        let kind = self.release_seat(&live.environment, needs, instance);
        let started_at = live.tasks[node].started_at;
        let past = PastTask {
            instance: instance.zip(kind),
            started_at,
            stopped_at: at,
            exit_code: match outcome {
                Outcome::Exited { code, .. } => Some(code),
                Outcome::FailedToStart(_) | Outcome::Lost(_) => None,
            },
            container_reason: container_reason(&outcome),
            status_reason: status_reason(live.stopping.as_ref(), &outcome),
            containers: match outcome {
                Outcome::Exited { containers, .. } => containers,
                Outcome::FailedToStart(_) | Outcome::Lost(_) => Vec::new(),
            },
        };
        self.edit(id, |job| {
            if let Some(live) = &mut job.live {
                live.tasks[node].ended = Some(Box::new(past));
            }
        });
    }

    fn release_seat(
        &mut self,
        id: &EnvironmentId,
        needs: Needs,
        instance: Option<super::InstanceId>,
    ) -> Option<super::Name> {
        let now = self.now;
        let environment = self.environment(id);
        environment.used.give_back(needs);
        let instance_id = instance?;
        let instance = environment.fleet.instances.get_mut(&instance_id).expect("a task's instance is there");
        instance.used.give_back(needs);
        let kind = instance.kind.name.clone();
        if instance.used.tasks == 0 {
            instance.idle_since = Some(now);
            match instance.condition {
                Condition::Serving => self.schedule_idle(id, instance_id),
                Condition::Outdated | Condition::Interrupted => {
                    self.let_go(id, instance_id);
                    self.scale(id);
                }
            }
            self.fleet_changed(id);
        }
        Some(kind)
    }

    /// Decides what becomes of the job whose attempt's tasks have all ended.
    fn attempt_ended(&mut self, attempt: AttemptId, at: Timestamp) {
        let id = attempt.job;
        let consumables = self.job(id).terms.shape.consumables.clone();
        for (consumable, quantity) in consumables {
            self.give_back_consumable(&consumable, quantity);
        }
        self.state.live.remove(&id);
        let stopping = self.edit(id, |job| {
            let live = job.live.take().expect("the attempt is live");
            let (past, stopping) = past_attempt(*live, job.terms.main_node());
            job.reason = Some(past.status_reason.clone());
            job.past.push(past);
            stopping
        });
        let job = self.job(id);
        let past = job.past.last().expect("it was just written down");
        let main = past.task(job.terms.main_node()).expect("an attempt has a task");
        let gave_up = matches!(stopping, Some(StopCause::Terminated(_) | StopCause::TimedOut));
        if stopping.is_none_or(|cause| cause == StopCause::MainEnded) && main.exit_code == Some(0) {
            self.end(id, Success::Yes, at);
            return;
        }
        let exit = Exit {
            code: main.exit_code,
            reason: main.container_reason.as_ref().map(Reason::as_str),
            status_reason: past.status_reason.as_str(),
        };
        let again = !gave_up && job.terms.retry.decide(attempt.number, exit) == ExitAction::Retry;
        if again && !self.is_closed(id) {
            self.advance(id, Status::Runnable);
            self.join_line(id);
        } else {
            self.end(id, Success::No, at);
        }
    }

    /// Whether the job may not be tried again: its queue is being deleted, or its array was ended.
    fn is_closed(&self, id: JobId) -> bool {
        let job = self.job(id);
        let array = id.parent().and_then(|(array, _)| self.state.jobs.get(&array)?.array.as_ref());
        self.state.queues[&job.terms.queue].deleting || array.is_some_and(|array| array.closed.is_some())
    }
}

/// The attempt as one that has ended, and why it was stopped.
fn past_attempt(live: LiveAttempt, main: u16) -> (PastAttempt, Option<StopCause>) {
    let LiveAttempt { number, environment, placed_at, tasks, stopping, .. } = live;
    let tasks: Vec<PastTask> = tasks.into_iter().filter_map(|task| task.ended.map(|ended| *ended)).collect();
    let main = &tasks[usize::from(main)];
    let status_reason = match &stopping {
        Some(StopCause::Terminated(reason) | StopCause::Interrupted(reason)) => reason.clone(),
        Some(StopCause::TimedOut) => TIMED_OUT.into(),
        Some(StopCause::NodeFailed) => {
            tasks.iter().find(|task| task.exit_code.is_none()).unwrap_or(main).status_reason.clone()
        }
        Some(StopCause::MainEnded) | None => main.status_reason.clone(),
    };
    (PastAttempt { number, environment, placed_at, tasks, status_reason }, stopping)
}

fn status_reason(stopping: Option<&StopCause>, outcome: &Outcome) -> Reason {
    match (stopping, outcome) {
        (Some(StopCause::TimedOut), _) => TIMED_OUT.into(),
        (Some(StopCause::Terminated(reason) | StopCause::Interrupted(reason)), _) | (_, Outcome::Lost(reason)) => {
            reason.clone()
        }
        (_, Outcome::Exited { .. }) => EXITED.into(),
        (_, Outcome::FailedToStart(_)) => NOT_STARTED.into(),
    }
}

fn container_reason(outcome: &Outcome) -> Option<Reason> {
    match outcome {
        Outcome::Exited { code, memory: Memory::Exceeded, .. } if *code != 0 => Some(OUT_OF_MEMORY.into()),
        Outcome::FailedToStart(reason) => Some(reason.clone()),
        Outcome::Exited { .. } | Outcome::Lost(_) => None,
    }
}
