//! Why a job is where it is.

use super::{BatchService, Found};
use crate::core::{InstanceId, Job, JobId, State};
use crate::prices::AttemptRecord;
use barge_core::{AwsError, Context, Timestamp};
use serde::{Deserialize, Serialize};

/// Which job.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct WhyQuery {
    /// Its id or ARN.
    pub job: String,
}

/// What there is to say of a job's state.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Explanation {
    /// Its id.
    pub id: JobId,
    /// Its name.
    pub name: String,
    /// Its queue's name.
    pub queue: String,
    /// Its state, e.g. `RUNNABLE`.
    pub status: String,
    /// Why it is in its state, as DescribeJobs has it.
    pub reason: Option<String>,
    /// When it was submitted; milliseconds since 1970.
    pub created_at: Timestamp,
    /// Of a job in RUNNABLE, how many of its queue and share stand before it, an array counting as one.
    pub ahead: Option<usize>,
    /// What is in its way, in words, where it waits; empty where it would start next.
    pub waits_for: Vec<String>,
    /// Where it runs, where it does.
    pub place: Option<Place>,
    /// Its attempts that have ended.
    pub attempts: Vec<AttemptRecord>,
}

/// Where an attempt runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Place {
    /// The compute environment's name.
    pub environment: String,
    /// The instances of its tasks, where the environment has any.
    pub instances: Vec<InstanceId>,
    /// Since when it has its place; milliseconds since 1970.
    pub placed_at: Timestamp,
    /// Since when its main container runs, where it does.
    pub started_at: Option<Timestamp>,
}

impl Place {
    fn of(job: &Job) -> Option<Self> {
        let live = job.live.as_ref()?;
        let environment = live.environment.as_str();
        Some(Self {
            environment: environment.rsplit('/').next().unwrap_or(environment).to_owned(),
            instances: live.tasks.iter().filter_map(|task| task.instance).collect(),
            placed_at: live.placed_at,
            started_at: live.tasks.get(usize::from(job.terms.main_node())).and_then(|task| task.started_at),
        })
    }
}

impl BatchService {
    /// Says why a job of the caller's is in its state. `ClientException` where there is no such job.
    pub async fn why(&self, cx: &Context, query: &WhyQuery) -> Result<Explanation, AwsError> {
        let found = self.find(cx, &query.job).await?;
        let id = found.id;
        let waiting = self.dispatcher.look(move |state: &State, _| state.why(id)).await?;
        let mut explanation = base(&found);
        if let Some(waiting) = waiting {
            waiting.status.as_str().clone_into(&mut explanation.status);
            explanation.ahead = (waiting.status == crate::core::Status::Runnable).then_some(waiting.ahead);
            explanation.waits_for = waiting.causes.iter().map(ToString::to_string).collect();
        }
        Ok(explanation)
    }
}

fn base(found: &Found) -> Explanation {
    let Found { id, stored } = found;
    let job = &stored.job;
    let queue = job.terms.queue.as_str();
    let mut explanation = Explanation {
        id: *id,
        name: stored.detail.job_name.clone(),
        queue: queue.rsplit('/').next().unwrap_or(queue).to_owned(),
        status: job.status.as_str().to_owned(),
        reason: job.reason.as_ref().map(ToString::to_string),
        created_at: job.created_at,
        ahead: None,
        waits_for: Vec::new(),
        place: Place::of(job),
        attempts: super::attempts::records(&stored.detail, job),
    };
    if let (Some(index), Some(array)) = (found.unrecorded(), &job.array) {
        array.unrecorded(index).as_str().clone_into(&mut explanation.status);
        explanation.reason = array.closed.as_ref().map(|closed| closed.reason.to_string());
    }
    explanation
}
