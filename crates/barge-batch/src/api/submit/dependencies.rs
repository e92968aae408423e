//! What a new job waits for (API Reference, "JobDependency"; Batch User Guide, "Job dependencies").

use crate::api::jobs::{JobRef, belongs, job_ref};
use crate::core::{Dependency, IndexSet, JobId, Kind, Known, Status, Success, Terms};
use crate::service::BatchService;
use barge_core::{AwsError, Context};
use barge_wire::batch::error::client_exception;
use barge_wire::batch::{ArrayJobDependency, JobDependency};

/// Jobs that one may depend on.
const MOST: usize = 20;

/// The refusal of a job that is not there.
pub(super) fn missing(id: &str) -> AwsError {
    client_exception(format!("Job {id} in dependsOn does not exist."))
}

/// The refusal of a job that is no array of the same size.
pub(super) fn not_same(id: &str) -> AwsError {
    client_exception(format!("Dependencies of type N_TO_N need arrays of the same size: job {id} is none."))
}

/// What the core is told of dependencies; `size` is the new job's, where it is an array.
pub(super) fn read(cx: &Context, given: &[JobDependency], size: Option<u32>) -> Result<Vec<Dependency>, AwsError> {
    if given.len() > MOST {
        return Err(client_exception(format!("A job can depend on at most {MOST} jobs.")));
    }
    let mut all = Vec::with_capacity(given.len());
    for JobDependency { job_id, r#type } in given {
        let id = job_id.as_deref().filter(|id| !id.is_empty());
        let read = |id: &str| match job_ref(cx, id) {
            Some(JobRef::Job(id)) => Ok(id),
            Some(JobRef::Node(..)) | None => Err(missing(id)),
        };
        if let (Some(kind), None) = (r#type, size) {
            return Err(client_exception(format!("Dependencies of type {kind} are for array jobs.")));
        }
        let dependency = match (r#type, id) {
            (None, Some(id)) => Dependency::Whole(read(id)?),
            (Some(ArrayJobDependency::NToN), Some(id)) => Dependency::NToN(read(id)?),
            (Some(ArrayJobDependency::Sequential), None) => Dependency::Sequential,
            (Some(ArrayJobDependency::Sequential), Some(_)) => {
                return Err(client_exception("Dependencies of type SEQUENTIAL take no jobId."));
            }
            (None | Some(ArrayJobDependency::NToN), None) => {
                return Err(client_exception("dependsOn.jobId must be provided."));
            }
        };
        if !all.contains(&dependency) {
            all.push(dependency);
        }
    }
    Ok(all)
}

impl BatchService {
    /// What is known of the jobs that a new one depends on; refuses those that are not there.
    pub(super) async fn known(&self, cx: &Context, terms: &Terms) -> Result<Vec<(JobId, Known)>, AwsError> {
        let size = match terms.kind {
            Kind::Array { size } => Some(size),
            Kind::Single | Kind::Nodes { .. } => None,
        };
        let mut all = Vec::with_capacity(terms.depends_on.len());
        for dependency in &terms.depends_on {
            let (id, wanted) = match dependency {
                Dependency::Whole(id) => (*id, None),
                Dependency::NToN(id) => (*id, size),
                Dependency::Sequential => continue,
            };
            all.push((id, self.known_job(cx, id, wanted).await?));
        }
        Ok(all)
    }

    /// What is known of a job; `size` is that of the array it must be, where it must be one.
    async fn known_job(&self, cx: &Context, id: JobId, size: Option<u32>) -> Result<Known, AwsError> {
        let root = self.rows.job(id.root()).await?.filter(|stored| belongs(cx, stored));
        let root = root.ok_or_else(|| missing(&id.to_string()))?;
        let array = root.job.array.as_ref().map(|array| array.size);
        if let Some(size) = size
            && array != Some(size)
        {
            return Err(not_same(&id.to_string()));
        }
        let Some((_, index)) = id.parent() else {
            return Ok(match (success(root.job.status), array) {
                (None, _) => Known::Live,
                (Some(success), None) => Known::Ended { success, succeeded: IndexSet::default() },
                (Some(success), Some(_)) => {
                    Known::Ended { success, succeeded: self.rows.succeeded_children(id).await? }
                }
            });
        };
        if array.is_none_or(|size| index >= size) {
            return Err(missing(&id.to_string()));
        }
        let child = self.rows.job(id).await?.map(|stored| stored.job.status);
        // A child without a record has not started; where its array has ended, it never will.
        let status = child.unwrap_or(if root.job.status.is_final() { Status::Failed } else { Status::Pending });
        Ok(match success(status) {
            None => Known::Live,
            Some(success) => Known::Ended { success, succeeded: IndexSet::default() },
        })
    }
}

const fn success(status: Status) -> Option<Success> {
    match status {
        Status::Succeeded => Some(Success::Yes),
        Status::Failed => Some(Success::No),
        Status::Submitted | Status::Pending | Status::Runnable | Status::Starting | Status::Running => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use barge_core::{Ambient, Scope};

    #[test]
    fn types_are_for_arrays() {
        let cx = Ambient::system("http://localhost").context(Scope::default(), "test");
        let id = "0b1f9c7a-0000-4bcd-8ef0-00000000002a";
        let (sequential, n_to_n) = (Some(ArrayJobDependency::Sequential), Some(ArrayJobDependency::NToN));
        for (job_id, kind, size, legal) in [
            (Some(id), None, None, true),
            (Some("0b1f9c7a-0000-4bcd-8ef0-00000000002a:7"), None, None, true),
            (Some(id), n_to_n, Some(3), true),
            (None, sequential, Some(3), true),
            (None, n_to_n, Some(3), false),
            (Some(id), sequential, Some(3), false),
            (None, sequential, None, false),
            (Some(id), n_to_n, None, false),
            (None, None, None, false),
            (Some("x"), None, None, false),
            (Some("0b1f9c7a-0000-4bcd-8ef0-00000000002a#1"), None, None, false),
        ] {
            let given = JobDependency { job_id: job_id.map(str::to_owned), r#type: kind };
            assert_eq!(read(&cx, &[given], size).is_ok(), legal, "{job_id:?} {kind:?} {size:?}");
        }
        let many = vec![JobDependency { job_id: Some(id.to_owned()), r#type: None }; 21];
        assert!(read(&cx, &many, None).is_err());
        assert_eq!(read(&cx, &many[..20], None).unwrap().len(), 1, "the same job counts once");
    }
}
