//! Instances that come and go: up to `minvCpus` at once, away after they have been idle.

use super::step::{Starts, Step};
use super::timer::Timer;
use super::{EnvironmentId, InstanceId, InstanceType, Needs, Switch};
use barge_core::Timestamp;

impl Step<'_> {
    /// Launches what an environment keeps also while idle. A disabled one keeps nothing (Batch User Guide, "Compute
    /// environment parameters", `state`); what is idle there goes in its time.
    pub(super) fn scale(&mut self, id: &EnvironmentId) {
        let environment = &self.state.environments[id];
        let Some(spec) = environment.spec.fleet.clone() else { return };
        let (max, enabled) = (environment.spec.max_vcpu_milli, environment.spec.switch == Switch::Enabled);
        let smallest =
            spec.types_for(Needs { vcpu_milli: 0, memory_mib: 0 }).min_by_key(|kind| kind.vcpu_milli).cloned();
        let Some(kind) = smallest.filter(|kind| kind.vcpu_milli > 0) else { return };
        while enabled
            && self.environment(id).fleet.vcpu_milli() < spec.min_vcpu_milli
            && self.environment(id).fleet.vcpu_milli() + u64::from(kind.vcpu_milli) <= max
        {
            self.launch_instance(id, kind.clone());
        }
    }

    /// Does something about every idle instance.
    pub(super) fn each_idle(&mut self, id: &EnvironmentId, act: fn(&mut Self, &EnvironmentId, InstanceId)) {
        for (_, instance) in self.environment(id).fleet.idle() {
            act(self, id, instance);
        }
    }

    pub(super) fn launch_instance(&mut self, id: &EnvironmentId, kind: InstanceType) -> InstanceId {
        let now = self.now;
        let instance = self.environment(id).fleet.launch(id, kind, now);
        self.schedule_idle(id, instance);
        self.fleet_changed(id);
        instance
    }

    fn idle_timer(&self, id: &EnvironmentId, instance: InstanceId) -> Option<(Timestamp, Timer)> {
        let environment = &self.state.environments[id];
        let since = environment.fleet.instances.get(&instance)?.idle_since?;
        let due = since + environment.spec.fleet.as_ref().map(|fleet| fleet.idle_time).unwrap_or_default();
        Some((due, Timer::Idle(id.clone(), instance)))
    }

    pub(super) fn schedule_idle(&mut self, id: &EnvironmentId, instance: InstanceId) {
        let timer = self.idle_timer(id, instance);
        self.state.timers.extend(timer);
    }

    pub(super) fn unschedule_idle(&mut self, id: &EnvironmentId, instance: InstanceId) {
        if let Some(timer) = self.idle_timer(id, instance) {
            self.state.timers.remove(&timer);
        }
    }

    /// Takes an idle instance away.
    pub(super) fn let_go(&mut self, id: &EnvironmentId, instance: InstanceId) {
        self.unschedule_idle(id, instance);
        let gone = self.environment(id).fleet.instances.remove(&instance).expect("an instance goes once");
        assert_eq!(gone.used.tasks, 0, "an instance goes while tasks are on it");
        self.settle_replacement(id);
        self.fleet_changed(id);
        self.starts = Starts::Possible;
    }

    /// Takes an instance away that has been idle for long enough, unless it is among those to be kept.
    pub(super) fn end_idle(&mut self, id: &EnvironmentId, instance: InstanceId) {
        let Some(environment) = self.state.environments.get(id) else { return };
        let Some(kept) = environment.fleet.instances.get(&instance).filter(|found| found.idle_since.is_some()) else {
            return;
        };
        let rest = environment.fleet.vcpu_milli() - u64::from(kept.kind.vcpu_milli);
        let floor = match (&environment.spec.fleet, environment.spec.switch) {
            (Some(fleet), Switch::Enabled) => fleet.min_vcpu_milli,
            _ => 0,
        };
        if rest >= floor {
            self.let_go(id, instance);
        }
    }
}
