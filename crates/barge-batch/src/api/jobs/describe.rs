//! DescribeJobs.

use super::lookup::Found;
use super::{JobRef, job_ref};
use crate::core::JobId;
use crate::service::BatchService;
use crate::view;
use barge_core::{AwsError, Context, Timestamp};
use barge_wire::batch::error::client_exception;
use barge_wire::batch::{DescribeJobsResponse, JobDetail};
use std::collections::BTreeSet;

/// Ids that DescribeJobs takes at a time.
const MOST_IDS: usize = 100;

impl BatchService {
    /// Jobs, children and nodes by id or ARN, in the order asked for, each once; unknown ones are left out.
    pub(in crate::api) async fn jobs_by_id(
        &self,
        cx: &Context,
        ids: &[String],
    ) -> Result<DescribeJobsResponse, AwsError> {
        if ids.is_empty() {
            return Err(client_exception("At least one job id must be provided."));
        }
        if ids.len() > MOST_IDS {
            return Err(client_exception(format!("At most {MOST_IDS} job ids can be provided.")));
        }
        let mut seen = BTreeSet::new();
        let wanted: Vec<JobRef> =
            ids.iter().filter_map(|id| job_ref(cx, id)).filter(|wanted| seen.insert(*wanted)).collect();
        let jobs: Vec<JobId> = wanted.iter().map(|wanted| wanted.job()).collect();
        let found = self.find_jobs(cx, &jobs).await?;
        let now = self.ambient.clock.now();
        let shown = wanted.iter().filter_map(|wanted| shown(*wanted, found.get(&wanted.job())?, now));
        Ok(DescribeJobsResponse { jobs: Some(shown.collect()) })
    }
}

fn shown(wanted: JobRef, found: &Found, now: Timestamp) -> Option<JobDetail> {
    let Found { detail, job, summary } = found.clone();
    match wanted {
        JobRef::Job(_) => Some(view::with_summary(view::job_detail(detail, &job), summary.as_ref(), now)),
        JobRef::Node(_, node) => view::node_detail(detail, &job, node),
    }
}
