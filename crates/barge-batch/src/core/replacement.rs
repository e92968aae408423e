//! Instances that are replaced, since what they were made by has changed: AWS's infrastructure updates (Batch User Guide,
//! "Update a compute environment in AWS Batch").
//!
//! - Old instances take no new tasks. Idle ones go at once, the others with the last of their tasks; until then they count
//!   below the environment's maximum, so that new ones are launched as room for them comes.
//! - What still runs on old ones when its time is over is stopped as if the host had gone, and tried again where its retry
//!   strategy says so.
//! - The environment can't be changed while there are old instances.

use super::lifecycle::host_terminated;
use super::step::Step;
use super::timer::Timer;
use super::{
    Condition, Environment, EnvironmentId, EnvironmentSpec, InstanceId, Job, JobId, Refusal, Replacement, StopCause,
};
use barge_core::Timestamp;
use std::time::Duration;

impl Environment {
    /// When what runs on outdated instances will be stopped.
    pub(super) fn replacement_timer(&self) -> Option<(Timestamp, Timer)> {
        match self.fleet.replacement? {
            Replacement::Until(at) => Some((at, Timer::Replacement(self.spec.id.clone()))),
            Replacement::Over => None,
        }
    }
}

impl Step<'_> {
    /// Changes an environment, and replaces its instances; what runs on them may go on for `grace`.
    pub(super) fn replace_instances(&mut self, spec: EnvironmentSpec, grace: Duration) -> Result<(), Refusal> {
        let id = spec.id.clone();
        let environment = self.state.environments.get_mut(&id).ok_or_else(|| Refusal::NoEnvironment(id.clone()))?;
        if environment.fleet.is_updating() {
            return Err(Refusal::EnvironmentUpdating(id));
        }
        self.each_idle(&id, Self::let_go);
        let environment = self.environment(&id);
        let serving = environment.fleet.instances.values_mut().filter(|found| found.condition == Condition::Serving);
        let outdated = serving.map(|found| found.condition = Condition::Outdated).count();
        self.put_environment(spec)?;
        if outdated > 0 {
            let until = self.now + grace;
            let environment = self.environment(&id);
            environment.fleet.replacement = Some(Replacement::Until(until));
            let timer = environment.replacement_timer();
            self.state.timers.extend(timer);
        }
        self.fleet_changed(&id);
        Ok(())
    }

    /// Stops what still runs on an environment's outdated instances.
    pub(super) fn end_replacement(&mut self, id: &EnvironmentId) {
        self.environment(id).fleet.replacement = Some(Replacement::Over);
        self.fleet_changed(id);
        self.stop_on(id, Condition::Outdated);
    }

    /// Notes that the replacement has ended, once no outdated instance is left.
    pub(super) fn settle_replacement(&mut self, id: &EnvironmentId) {
        let environment = self.environment(id);
        let outdated = || environment.fleet.instances.values().any(|found| found.condition == Condition::Outdated);
        if !environment.fleet.is_updating() || outdated() {
            return;
        }
        let timer = environment.replacement_timer();
        environment.fleet.replacement = None;
        if let Some(timer) = timer {
            self.state.timers.remove(&timer);
        }
    }

    /// Stops every attempt that has a task on an instance in this condition: its host goes.
    pub(super) fn stop_on(&mut self, id: &EnvironmentId, condition: Condition) {
        let instances = &self.state.environments[id].fleet.instances;
        let is_going =
            |instance: &InstanceId| instances.get(instance).is_some_and(|found| found.condition == condition);
        let host = |job: &Job| -> Option<InstanceId> {
            job.live.as_ref().filter(|live| live.environment == *id && live.stopping.is_none())?;
            job.live_tasks().find_map(|(_, task, _)| task.instance.filter(is_going))
        };
        let mut jobs: Vec<(u64, JobId, InstanceId)> =
            self.state.live_jobs().filter_map(|job| Some((job.seq, job.id, host(job)?))).collect();
        jobs.sort_unstable();
        for (_, job, instance) in jobs {
            self.stop(job, StopCause::Interrupted(host_terminated(&instance.to_string()).into()));
        }
    }
}
