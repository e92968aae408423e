//! Jobs' rows as the API reads them, live or ended.

use super::{Rows, collect, ordinal, parse, text};
use crate::core::{IndexSet, Job, JobId, QueueId, Status, Terms};
use barge_core::AwsError;
use barge_store::rusqlite::{OptionalExtension, Row, ToSql, params, params_from_iter};
use barge_store::{rusqlite, sql};
use barge_wire::batch::JobDetail;
use std::collections::BTreeMap;
use std::sync::Arc;

/// A job as its row has it.
#[derive(Clone, Debug)]
pub(crate) struct StoredJob {
    /// What its submission wrote; of a child, what its array's did.
    pub(crate) detail: JobDetail,
    /// What the core keeps of it.
    pub(crate) job: Job,
}

/// Which jobs of a queue to list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum JobFilter {
    Status(Status),
    /// Without regard to case; a trailing `*` matches any end.
    Name(String),
    /// The ARN or name of a definition, with or without revision; a trailing `*` matches any end of the name.
    Definition(String),
    /// Milliseconds since the epoch.
    CreatedBefore(i64),
    /// Milliseconds since the epoch.
    CreatedAfter(i64),
    /// A share identifier; a trailing `*` matches any end.
    Share(String),
    /// Every state but those that are final.
    Live,
    /// The ARN of a consumable resource that the job needs.
    Consumable(String),
}

/// Which children of an array to list.
#[derive(Clone, Debug)]
pub(crate) enum ChildFilter {
    /// All that have a record.
    Any,
    Status(Status),
}

/// One page of a list, the newest first.
#[derive(Debug)]
pub(crate) struct JobPage {
    pub(crate) jobs: Vec<StoredJob>,
    /// Where the next page begins.
    pub(crate) next: Option<u64>,
}

impl Rows {
    /// The jobs with these ids; unknown ones are left out, and children of arrays that have no record.
    pub(crate) async fn jobs(&self, ids: Vec<JobId>) -> Result<Vec<StoredJob>, AwsError> {
        self.store
            .read(move |conn| {
                let mut root = sql(conn.prepare_cached("SELECT body, terms, state FROM batch_jobs WHERE id = ?1"))?;
                let mut child = sql(conn.prepare_cached(
                    "SELECT j.body, j.terms, c.state FROM batch_jobs j
                     JOIN batch_children c ON c.parent = j.seq AND c.idx = ?2 WHERE j.id = ?1",
                ))?;
                let mut jobs = Vec::with_capacity(ids.len());
                for id in ids {
                    let found = match id.parent() {
                        Some((array, index)) => child.query_row(params![array.to_string(), index], texts),
                        None => root.query_row([id.to_string()], texts),
                    };
                    jobs.extend(sql(found.optional())?.map(stored).transpose()?);
                }
                Ok(jobs)
            })
            .await
    }

    /// The job with this id, where it has a record.
    pub(crate) async fn job(&self, id: JobId) -> Result<Option<StoredJob>, AwsError> {
        Ok(self.jobs(vec![id]).await?.pop())
    }

    /// A page of an array's children that have a record, from index `from` on, by index.
    pub(crate) async fn children(
        &self,
        array: JobId,
        filter: ChildFilter,
        from: u32,
        limit: usize,
    ) -> Result<Vec<(u32, Job)>, AwsError> {
        self.store
            .read(move |conn| {
                let (low, high) = match filter {
                    ChildFilter::Any => (i64::MIN, i64::MAX),
                    ChildFilter::Status(status) => (ordinal(status), ordinal(status)),
                };
                let mut statement = sql(conn.prepare_cached(
                    "SELECT c.idx, c.state, j.terms FROM batch_children c JOIN batch_jobs j ON c.parent = j.seq
                     WHERE j.id = ?1 AND c.idx >= ?2 AND c.status BETWEEN ?3 AND ?4 ORDER BY c.idx LIMIT ?5",
                ))?;
                let limit = i64::try_from(limit).unwrap_or(i64::MAX);
                let rows = collect(&mut statement, params![array.to_string(), from, low, high, limit], |row| {
                    Ok((row.get(0)?, row.get::<_, String>(1)?, row.get::<_, String>(2)?))
                })?;
                let mut shared: Option<Arc<Terms>> = None;
                rows.into_iter()
                    .map(|(index, state, terms)| {
                        let job: Job = parse(&state)?;
                        let terms = match &shared {
                            Some(terms) => Arc::clone(terms),
                            None => Arc::clone(shared.insert(Arc::new(parse(&terms)?))),
                        };
                        Ok((index, Job { terms, ..job }))
                    })
                    .collect()
            })
            .await
    }

    /// The indexes of an array's children that have succeeded.
    pub(crate) async fn succeeded_children(&self, array: JobId) -> Result<IndexSet, AwsError> {
        self.store
            .read(move |conn| {
                let mut statement = sql(conn.prepare_cached(
                    "SELECT c.idx FROM batch_children c JOIN batch_jobs j ON c.parent = j.seq
                     WHERE j.id = ?1 AND c.status = ?2 ORDER BY c.idx",
                ))?;
                let params = params![array.to_string(), ordinal(Status::Succeeded)];
                Ok(collect(&mut statement, params, |row| row.get::<_, u32>(0))?.into_iter().collect())
            })
            .await
    }

    /// A page of a queue's jobs, submitted before the one at `before`.
    pub(crate) async fn list_jobs(
        &self,
        queue: QueueId,
        filter: JobFilter,
        before: Option<u64>,
        limit: usize,
    ) -> Result<JobPage, AwsError> {
        self.store
            .read(move |conn| {
                let (condition, value) = filter.condition();
                let query = format!(
                    "SELECT body, terms, state FROM batch_jobs
                     WHERE queue = ?1 AND seq < ?2 AND {condition} ORDER BY seq DESC LIMIT ?4"
                );
                let before = before.and_then(|seq| i64::try_from(seq).ok()).unwrap_or(i64::MAX);
                let limit_and_one = i64::try_from(limit + 1).unwrap_or(i64::MAX);
                let queue = queue.as_str().to_owned();
                let params: [&dyn ToSql; 4] = [&queue, &before, &value, &limit_and_one];
                let mut statement = sql(conn.prepare_cached(&query))?;
                let rows = collect(&mut statement, params_from_iter(params), texts)?;
                let mut jobs = rows.into_iter().map(stored).collect::<Result<Vec<_>, _>>()?;
                let more = jobs.len() > limit;
                jobs.truncate(limit);
                let next = jobs.last().filter(|_| more).map(|last| last.job.seq);
                Ok(JobPage { jobs, next })
            })
            .await
    }

    /// Changes a job's tags; `None` where there is no such job.
    pub(crate) async fn change_job_tags(
        &self,
        id: JobId,
        change: impl FnOnce(&mut BTreeMap<String, String>) -> Result<(), AwsError> + Send + 'static,
    ) -> Result<Option<()>, AwsError> {
        self.store
            .write(move |tx| {
                let id = id.root();
                let query = "SELECT body FROM batch_jobs WHERE id = ?1";
                let body: Option<String> = sql(tx.query_row(query, [id.to_string()], |row| row.get(0)).optional())?;
                let Some(body) = body else { return Ok(None) };
                let mut detail: JobDetail = parse(&body)?;
                change(detail.tags.get_or_insert_default())?;
                let update = "UPDATE batch_jobs SET body = ?2 WHERE id = ?1";
                sql(tx.execute(update, [id.to_string(), text(&detail)?]))?;
                Ok(Some(()))
            })
            .await
    }
}

impl JobFilter {
    /// A condition on `?3`, and its value.
    fn condition(&self) -> (&'static str, rusqlite::types::Value) {
        let glob = |text: &str| match text.strip_suffix('*') {
            Some(start) => format!("{}*", escape_glob(start)),
            None => escape_glob(text),
        };
        match self {
            Self::Status(status) => ("status = ?3", ordinal(*status).into()),
            Self::Name(name) => ("lower(name) GLOB ?3", glob(&name.to_lowercase()).into()),
            Self::Definition(arn) if arn.starts_with("arn:") && !arn.ends_with('*') => {
                ("(definition = ?3 OR definition GLOB ?3 || ':[0-9]*')", arn.clone().into())
            }
            Self::Definition(arn) if arn.starts_with("arn:") => ("definition GLOB ?3", glob(arn).into()),
            Self::Definition(name) if name.contains(':') || name.ends_with('*') => {
                ("definition GLOB '*:job-definition/' || ?3", glob(name).into())
            }
            Self::Definition(name) => ("definition GLOB '*:job-definition/' || ?3 || ':*'", escape_glob(name).into()),
            Self::CreatedBefore(millis) => ("created_at < ?3", (*millis).into()),
            Self::CreatedAfter(millis) => ("created_at > ?3", (*millis).into()),
            Self::Share(share) => ("share GLOB ?3", glob(share).into()),
            Self::Live => ("status < ?3", ordinal(Status::Succeeded).into()),
            Self::Consumable(arn) => ("instr(terms, ?3) > 0", format!("\"{arn}\"").into()),
        }
    }
}

fn escape_glob(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '*' | '?' | '[' => escaped.extend(['[', c, ']']),
            other => escaped.push(other),
        }
    }
    escaped
}

type Texts = (String, String, String);

fn texts(row: &Row<'_>) -> rusqlite::Result<Texts> {
    Ok((row.get(0)?, row.get(1)?, row.get(2)?))
}

fn stored((body, terms, state): Texts) -> Result<StoredJob, AwsError> {
    let job: Job = parse(&state)?;
    Ok(StoredJob { detail: parse(&body)?, job: Job { terms: Arc::new(parse(&terms)?), ..job } })
}
