//! What Spot can take away, and what that does.

use super::lifecycle::SPOT_TASK_INTERRUPTED;
use super::step::Step;
use super::{Condition, EnvironmentId, EnvironmentKind, InstanceId, Interruption, Refusal, State, StopCause};

/// Everything that Spot could take away now.
pub fn spot_targets(state: &State) -> Vec<Interruption> {
    let mut targets = Vec::new();
    for environment in state.environments().filter(|environment| environment.spec.kind == EnvironmentKind::Spot) {
        let there = environment.fleet.instances.iter().filter(|(_, found)| found.condition != Condition::Interrupted);
        targets.extend(there.map(|(id, _)| Interruption::Instance(environment.spec.id.clone(), *id)));
    }
    let on_fargate_spot =
        |id| state.environment(id).is_some_and(|environment| environment.spec.kind == EnvironmentKind::FargateSpot);
    let attempts = state.live_jobs().filter_map(|job| {
        let live = job.live.as_ref().filter(|live| live.stopping.is_none() && on_fargate_spot(&live.environment));
        live.and(job.live_id())
    });
    targets.extend(attempts.map(Interruption::Attempt));
    targets
}

impl Step<'_> {
    pub(super) fn interrupt(&mut self, what: &Interruption) -> Result<(), Refusal> {
        match what {
            Interruption::Instance(environment, instance) => self.interrupt_instance(environment, *instance),
            Interruption::Attempt(attempt) => {
                let job = self.state.jobs.get(&attempt.job).filter(|job| job.live_id() == Some(*attempt));
                let live = job.and_then(|job| job.live.as_ref()).ok_or(Refusal::NothingToInterrupt)?;
                let environment = &self.state.environments[&live.environment];
                if !environment.spec.kind.is_spot() || live.stopping.is_some() {
                    return Err(Refusal::NothingToInterrupt);
                }
                self.stop(attempt.job, StopCause::Interrupted(SPOT_TASK_INTERRUPTED.into()));
                Ok(())
            }
        }
    }

    fn interrupt_instance(&mut self, id: &EnvironmentId, instance: InstanceId) -> Result<(), Refusal> {
        let environment = self.state.environments.get_mut(id).ok_or_else(|| Refusal::NoEnvironment(id.clone()))?;
        if !environment.spec.kind.is_spot() {
            return Err(Refusal::NothingToInterrupt);
        }
        let found = environment.fleet.instances.get_mut(&instance);
        let found =
            found.filter(|found| found.condition != Condition::Interrupted).ok_or(Refusal::NothingToInterrupt)?;
        found.condition = Condition::Interrupted;
        let idle = found.used.tasks == 0;
        self.fleet_changed(id);
        if idle {
            self.let_go(id, instance);
            self.scale(id);
            return Ok(());
        }
        self.settle_replacement(id);
        self.stop_on(id, Condition::Interrupted);
        Ok(())
    }
}
