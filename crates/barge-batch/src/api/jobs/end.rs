//! CancelJob, TerminateJob, and both for many jobs.

use super::{JobRef, job_ref, missing};
use crate::core::{Event, JobId, Reason, Refusal};
use crate::service::BatchService;
use barge_core::{AwsError, Context};
use barge_wire::batch::error::client_exception;
use barge_wire::batch::{
    CancelJobsErrorDetail, CancelJobsRequest, CancelJobsResponse, TerminateJobsErrorDetail, TerminateJobsRequest,
    TerminateJobsResponse,
};

/// Characters in a reason.
const LONGEST_REASON: usize = 1024;
/// Jobs in one request (API Reference, "CancelJobs", "TerminateJobs").
const MOST: usize = 50;

/// What is asked of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::api) enum How {
    /// End it if it has not started.
    Cancel,
    /// End it.
    Terminate,
}

impl How {
    const fn event(self, job: JobId, reason: Reason) -> Event {
        match self {
            Self::Cancel => Event::Cancel { job, reason },
            Self::Terminate => Event::Terminate { job, reason },
        }
    }
}

/// Whether a job was found.
enum Was {
    There,
    Missing,
}

/// What became of each of many jobs.
struct Outcomes {
    successful: Vec<String>,
    /// Job and error.
    errors: Vec<(String, AwsError)>,
}

impl BatchService {
    /// Has a job ended. One that has ended before stays as it is.
    pub(in crate::api) async fn end(&self, cx: &Context, id: &str, reason: &str, how: How) -> Result<(), AwsError> {
        let reason = checked_reason(reason)?;
        let wanted = job_ref(cx, id).ok_or_else(|| missing(id))?;
        match self.end_job(cx, wanted, reason, how).await? {
            Was::There => Ok(()),
            Was::Missing => Err(missing(id)),
        }
    }

    async fn end_job(&self, cx: &Context, wanted: JobRef, reason: Reason, how: How) -> Result<Was, AwsError> {
        let job = match wanted {
            JobRef::Job(job) => job,
            JobRef::Node(job, node) => {
                return Err(client_exception(format!(
                    "Node {job}#{node} can't be ended by itself; end its multi-node parallel job {job}."
                )));
            }
        };
        if !self.find_jobs(cx, &[job]).await?.contains_key(&job) {
            return Ok(Was::Missing);
        }
        match self.dispatcher.apply(how.event(job, reason)).await? {
            Ok(()) | Err(Refusal::NoLiveJob(_)) => Ok(Was::There),
            Err(other) => Err(AwsError::internal(other)),
        }
    }

    pub(in crate::api) async fn cancel_many(
        &self,
        cx: &Context,
        input: CancelJobsRequest,
    ) -> Result<CancelJobsResponse, AwsError> {
        let Outcomes { successful, errors } = self.end_many(cx, input.jobs, &input.reason, How::Cancel).await?;
        let errors = errors.into_iter().map(|(job, error)| CancelJobsErrorDetail {
            job,
            code: error.code.into_owned(),
            message: error.message,
        });
        Ok(CancelJobsResponse { successful, errors: errors.collect() })
    }

    pub(in crate::api) async fn terminate_many(
        &self,
        cx: &Context,
        input: TerminateJobsRequest,
    ) -> Result<TerminateJobsResponse, AwsError> {
        let Outcomes { successful, errors } = self.end_many(cx, input.jobs, &input.reason, How::Terminate).await?;
        let errors = errors.into_iter().map(|(job, error)| TerminateJobsErrorDetail {
            job,
            code: error.code.into_owned(),
            message: error.message,
        });
        Ok(TerminateJobsResponse { successful, errors: errors.collect() })
    }

    /// Has each job ended; those that are not there count as ended, ids that can't be any are errors.
    async fn end_many(&self, cx: &Context, jobs: Vec<String>, reason: &str, how: How) -> Result<Outcomes, AwsError> {
        if !(1..=MOST).contains(&jobs.len()) {
            return Err(client_exception(format!("Between 1 and {MOST} jobs must be provided, not {}.", jobs.len())));
        }
        let reason = checked_reason(reason)?;
        let mut outcomes = Outcomes { successful: Vec::new(), errors: Vec::new() };
        for id in jobs {
            let ended = match job_ref(cx, &id) {
                Some(wanted) => self.end_job(cx, wanted, reason.clone(), how).await.map(drop),
                None => Err(AwsError::new("ValidationException", 400, format!("Job id {id} is not valid."))),
            };
            match ended {
                Ok(()) => outcomes.successful.push(id),
                Err(error) => outcomes.errors.push((id, error)),
            }
        }
        Ok(outcomes)
    }
}

fn checked_reason(reason: &str) -> Result<Reason, AwsError> {
    if reason.is_empty() {
        return Err(client_exception("reason can't be empty."));
    }
    if reason.chars().count() > LONGEST_REASON {
        return Err(client_exception(format!("reason can't be longer than {LONGEST_REASON} characters.")));
    }
    Ok(reason.into())
}
