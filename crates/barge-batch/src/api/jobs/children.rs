//! ListJobs of an array's children and of a multi-node job's nodes, by index.

use super::list::{read_token, wanted_status};
use super::lookup::{unrecorded, without_record};
use super::{JobRef, belongs, job_ref, missing};
use crate::api::paging;
use crate::core::{Array, Job, State, Status};
use crate::ranges;
use crate::service::BatchService;
use crate::store::{ChildFilter, StoredJob};
use crate::view;
use barge_core::{AwsError, Context};
use barge_wire::batch::error::client_exception;
use barge_wire::batch::{JobSummary, ListJobsRequest, ListJobsResponse};
use std::collections::BTreeMap;

/// Children looked at together.
const WINDOW: u32 = 1000;

impl BatchService {
    /// A page of an array's children in one state, also those without a record.
    pub(super) async fn children_of(
        &self,
        cx: &Context,
        array: &str,
        input: &ListJobsRequest,
        limit: usize,
    ) -> Result<ListJobsResponse, AwsError> {
        let StoredJob { detail, job: parent } = self.listed_job(cx, array).await?;
        let Some(children) = parent.array.as_deref() else {
            return Err(client_exception(format!("Job {array} is not an array job.")));
        };
        let wanted = wanted_status(input.job_status);
        let mut from: u32 = input.next_token.as_deref().map(read_token).transpose()?.unwrap_or(0);
        let mut found: Vec<Job> = Vec::new();
        if matches!(wanted, Status::Starting | Status::Running | Status::Succeeded) {
            // Who has come so far has a record.
            let rows = self.rows.children(parent.id, ChildFilter::Status(wanted), from, limit + 1).await?;
            found.extend(rows.into_iter().map(|(_, child)| child));
            from = children.size;
        }
        while from < children.size && found.len() <= limit {
            let until = children.size.min(from + WINDOW);
            let window = self.window(&parent, children, from, until).await?;
            found.extend(window.into_iter().filter(|child| child.status == wanted));
            from = until;
        }
        let next = found.get(limit).and_then(|child| child.id.parent()).map(|(_, index)| index);
        found.truncate(limit);
        Ok(ListJobsResponse {
            job_summary_list: found.iter().map(|child| view::job_summary(detail.clone(), child)).collect(),
            next_token: next.map(|index| paging::token(&index.to_string())),
        })
    }

    /// An array's children from one index to another.
    async fn window(&self, parent: &Job, array: &Array, from: u32, until: u32) -> Result<Vec<Job>, AwsError> {
        let id = parent.id;
        // The state first: a child that gets a record meanwhile is then found with it.
        let states: Vec<Option<Status>> = if parent.status.is_final() {
            vec![None; (until - from) as usize]
        } else {
            let all = move |state: &State, _: &_| (from..until).map(|index| unrecorded(state, id, index)).collect();
            self.dispatcher.look(all).await?
        };
        let records = self.rows.children(id, ChildFilter::Any, from, (until - from) as usize).await?;
        let mut records: BTreeMap<u32, Job> = records.into_iter().filter(|(index, _)| *index < until).collect();
        let child = |(index, state): (u32, Option<Status>)| {
            let state = state.unwrap_or_else(|| array.unrecorded(index));
            records.remove(&index).unwrap_or_else(|| without_record(parent, array, index, state))
        };
        Ok((from..until).zip(states).map(child).collect())
    }

    /// A page of a multi-node job's nodes in one state.
    pub(super) async fn nodes_of(
        &self,
        cx: &Context,
        id: &str,
        input: &ListJobsRequest,
        limit: usize,
    ) -> Result<ListJobsResponse, AwsError> {
        let StoredJob { detail, job } = self.listed_job(cx, id).await?;
        let nodes = detail.node_properties.as_ref().and_then(ranges::count);
        let Some(nodes) = nodes else {
            return Err(client_exception(format!("Job {id} is not a multi-node parallel job.")));
        };
        let wanted = wanted_status(input.job_status);
        let from: u16 = input.next_token.as_deref().map(read_token).transpose()?.unwrap_or(0);
        let mut fitting: Vec<u16> =
            (from..nodes).filter(|node| view::node_status(&job, *node) == wanted).take(limit + 1).collect();
        let next = fitting.get(limit).copied();
        fitting.truncate(limit);
        let shown: Vec<JobSummary> =
            fitting.into_iter().filter_map(|node| view::node_summary(&detail, &job, node)).collect();
        Ok(ListJobsResponse { job_summary_list: shown, next_token: next.map(|node| paging::token(&node.to_string())) })
    }

    async fn listed_job(&self, cx: &Context, text: &str) -> Result<StoredJob, AwsError> {
        let id = match job_ref(cx, text) {
            Some(JobRef::Job(id)) if id.parent().is_none() => id,
            _ => return Err(missing(text)),
        };
        self.rows.job(id).await?.filter(|stored| belongs(cx, stored)).ok_or_else(|| missing(text))
    }
}
