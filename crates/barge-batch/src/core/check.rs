//! What must hold in every state. For tests and the simulator: it looks at every job.

use super::hold::Hold;
use super::timer::{Timer, timers};
use super::{
    Condition, Dependency, Environment, EnvironmentId, InstanceId, JobId, QueueId, ShareId, State, Status, Usage,
};
use std::collections::{BTreeMap, BTreeSet};

impl State {
    /// Counts everything anew and compares.
    ///
    /// # Panics
    /// Where the state contradicts itself.
    pub fn check(&self) {
        self.check_jobs();
        self.check_usage();
        self.check_lines();
        self.check_timers();
        self.check_holds();
    }

    /// Whether two states are the same but for what a restart may forget: that an idle instance was looked at, and the
    /// highest order of attempts that have ended.
    #[must_use]
    pub fn resembles(&self, other: &Self) -> bool {
        let essence = |state: &Self| {
            let mut state = state.clone();
            state.next_order = 0;
            state.timers.retain(|(_, timer)| !matches!(timer, Timer::Idle(..)));
            state
        };
        essence(self) == essence(other)
    }

    fn check_jobs(&self) {
        for job in self.jobs.values() {
            assert!(!job.status.is_final(), "{} has ended and is still known", job.id);
            assert!(job.seq < self.next_seq);
            let placed = matches!(job.status, Status::Starting | Status::Running);
            assert_eq!(placed, job.live.is_some(), "{} is {:?}", job.id, job.status);
            let most = job.terms.retry.attempts as usize;
            assert!(job.past.len() < most, "{} has had its attempts", job.id);
            if let Some(live) = &job.live {
                assert_eq!(live.number as usize, job.past.len() + 1);
                assert_eq!(live.tasks.len(), job.terms.shape.tasks.len());
                assert!(live.tasks.iter().any(|task| task.ended.is_none()), "{} has ended", job.id);
                let main = &live.tasks[usize::from(job.terms.main_node())];
                assert_eq!(main.started_at.is_some(), job.status == Status::Running);
                assert!(live.order < self.next_order);
            }
            if let Some(array) = &job.array {
                assert_eq!(job.status, Status::Pending, "{} is an array", job.id);
                assert!(!array.is_done(), "all of {} have ended", job.id);
                let with_record = (0..array.size).filter(|index| self.jobs.contains_key(&job.id.child(*index)));
                assert!(with_record.eq(array.live.iter().copied()), "{:?}", array.live);
                let startable = self.startable_children(job, array);
                assert_eq!(startable, array.runnable, "{}", job.id);
                let overlap =
                    array.succeeded.iter().any(|index| array.failed.contains(index) || array.live.contains(&index));
                assert!(!overlap && !array.failed.iter().any(|index| array.live.contains(&index)));
            } else if job.status == Status::Pending {
                assert!(!self.whole_dependencies_met(job), "{} waits for nothing", job.id);
            }
            for dependency in &job.terms.depends_on {
                if let (Dependency::Whole(on), true) = (dependency, job.status == Status::Pending)
                    && self.jobs.contains_key(on)
                {
                    assert!(self.dependents[on].contains(&job.id));
                }
            }
        }
        assert!(
            self.dependents
                .values()
                .all(|waiting| !waiting.is_empty() && waiting.iter().all(|id| self.jobs.contains_key(id)))
        );
    }

    fn check_usage(&self) {
        let mut used = Usage::default();
        let mut by_environment: BTreeMap<&EnvironmentId, Usage> = BTreeMap::new();
        let mut by_instance: BTreeMap<InstanceId, Usage> = BTreeMap::new();
        let mut by_share: BTreeMap<(&QueueId, &ShareId), (u64, u64)> = BTreeMap::new();
        let mut resources: BTreeMap<_, u64> = BTreeMap::new();
        let mut tallies: BTreeMap<&QueueId, BTreeMap<Status, u64>> = BTreeMap::new();
        for job in self.jobs.values() {
            assert_eq!(job.live.is_some(), self.live.contains(&job.id));
            assert_eq!(job.array.is_some(), self.arrays.contains(&job.id));
            if job.array.is_none() {
                *tallies.entry(&job.terms.queue).or_default().entry(job.status).or_default() += 1;
            }
            let share = by_share.entry((&job.terms.queue, &job.terms.share)).or_default();
            share.0 += 1;
            let Some(live) = &job.live else { continue };
            for (id, quantity) in &job.terms.shape.consumables {
                *resources.entry(id).or_default() += quantity;
            }
            for (_, task, needs) in job.live_tasks() {
                used.take(needs);
                share.1 += u64::from(needs.vcpu_milli);
                by_environment.entry(&live.environment).or_default().take(needs);
                if let Some(instance) = task.instance {
                    by_instance.entry(instance).or_default().take(needs);
                }
            }
        }
        assert_eq!(used, self.used);
        for queue in self.queues.values() {
            assert!(!queue.deleting || queue.live() > 0);
            assert_eq!(tallies.remove(&queue.spec.id).unwrap_or_default(), queue.tally);
            for (id, share) in &queue.shares {
                let (live, held) = by_share.remove(&(&queue.spec.id, id)).unwrap_or_default();
                assert_eq!((share.live, share.held), (live, held), "{} {id}", queue.spec.id);
            }
        }
        assert!(by_share.is_empty(), "jobs wait in queues that are gone");
        for environment in self.environments.values() {
            let counted = by_environment.remove(&environment.spec.id).unwrap_or_default();
            assert_eq!(counted, environment.used, "{}", environment.spec.id);
            for (id, instance) in &environment.fleet.instances {
                let counted = by_instance.remove(id).unwrap_or_default();
                assert_eq!(counted, instance.used, "{id}");
                assert_eq!(counted.tasks == 0, instance.idle_since.is_some(), "{id}");
                assert!(counted.tasks > 0 || instance.condition == Condition::Serving, "{id} stays for nobody");
                let fits = counted.vcpu_milli <= u64::from(instance.kind.vcpu_milli)
                    && counted.memory_mib <= u64::from(instance.kind.memory_mib);
                assert!(fits, "more than instance {id} has is given out");
            }
            let outdated = environment.fleet.instances.values().any(|found| found.condition == Condition::Outdated);
            assert_eq!(outdated, environment.fleet.is_updating(), "{}", environment.spec.id);
        }
        assert!(by_environment.is_empty() && by_instance.is_empty(), "tasks run where nothing is");
        for (id, consumable) in &self.consumables {
            assert_eq!(resources.remove(id).unwrap_or_default(), consumable.in_use, "{id}");
        }
        assert!(resources.is_empty(), "attempts hold resources that are gone");
    }

    fn check_lines(&self) {
        let mut expected: BTreeSet<JobId> = BTreeSet::new();
        for job in self.jobs.values() {
            let array_waits = job.array.as_ref().is_some_and(|array| !array.runnable.is_empty());
            if job.status == Status::Runnable || array_waits {
                expected.insert(job.id);
            }
        }
        for queue in self.queues.values() {
            for (id, share) in &queue.shares {
                for (shape, line) in &share.lines {
                    assert!(!line.is_empty());
                    for (place, job) in line {
                        assert!(expected.remove(job), "{job} is in line and does not wait");
                        let job = &self.jobs[job];
                        assert_eq!((&job.terms.queue, &job.terms.share), (&queue.spec.id, id));
                        assert_eq!((&job.terms.shape, queue.place(job)), (shape, *place));
                    }
                }
            }
        }
        assert!(expected.is_empty(), "these wait and are in no line: {expected:?}");
        for job in self.jobs.values().filter(|job| job.blocked.is_some()) {
            let in_line = job.status == Status::Runnable || job.array.is_some();
            assert!(in_line, "{} is blocked and in no line", job.id);
        }
    }

    fn check_timers(&self) {
        let of_jobs = self.jobs.values().flat_map(|job| timers(job, &self.queues[&job.terms.queue].spec));
        let of_environments = self.environments.values().filter_map(Environment::replacement_timer);
        let expected: BTreeSet<_> = of_jobs.chain(of_environments).collect();
        let (idle, others): (BTreeSet<_>, BTreeSet<_>) =
            self.timers.iter().cloned().partition(|(_, timer)| matches!(timer, Timer::Idle(..)));
        assert_eq!(expected, others);
        for (_, timer) in idle {
            let Timer::Idle(environment, instance) = timer else { continue };
            assert!(self.environments[&environment].fleet.instances[&instance].idle_since.is_some());
        }
    }

    fn check_holds(&self) {
        let mut expected: BTreeMap<JobId, Hold> = BTreeMap::new();
        for job in self.jobs.values() {
            if let Some(blocked) = job.blocked.as_ref().filter(|blocked| blocked.why.holds_room()) {
                expected.insert(job.id, Hold::new(blocked.after));
            }
        }
        for job in self.jobs.values() {
            for (_, task, needs) in job.live_tasks() {
                let live = job.live.as_ref().expect("it has a live task");
                for hold in expected.values_mut() {
                    hold.take(live, needs, task.instance);
                }
            }
        }
        assert_eq!(expected, self.holds);
    }
}
