//! Jobs in the order in which they were submitted, with the children that have a record: a page at a time.

use super::{Rows, collect, parse};
use crate::core::{Job, Terms};
use barge_core::{AwsError, Scope};
use barge_store::rusqlite::Connection;
use barge_store::sql;
use std::sync::Arc;

/// Bytes of states after which a page ends: an array of ten thousand children is a page of its own.
const LARGEST_PAGE: usize = 4 << 20;

/// A job that was submitted.
#[derive(Debug)]
pub(crate) struct SubmittedJob {
    pub(crate) name: String,
    /// The ARN of its definition.
    pub(crate) definition: String,
    pub(crate) job: Job,
    /// Of an array, the children that have a record, by index.
    pub(crate) children: Vec<Job>,
}

/// Jobs, the oldest first.
#[derive(Debug, Default)]
pub(crate) struct HistoryPage {
    pub(crate) jobs: Vec<SubmittedJob>,
    /// The place after which the next page begins, where there is one.
    pub(crate) next: Option<u64>,
}

impl Rows {
    /// A scope's jobs submitted after the one at place `after`: of `rows` rows of all scopes, so that a page may be empty and not the last.
    pub(crate) async fn history(&self, scope: Scope, after: u64, rows: usize) -> Result<HistoryPage, AwsError> {
        self.store.read(move |conn| page(conn, &scope, after, rows)).await
    }
}

fn page(conn: &Connection, scope: &Scope, after: u64, rows: usize) -> Result<HistoryPage, AwsError> {
    let own = scope.arn("batch", "job-queue/").to_string();
    let query = "SELECT seq, queue, name, definition, terms, state FROM batch_jobs WHERE seq > ?1 ORDER BY seq";
    let mut statement = sql(conn.prepare_cached(query))?;
    let mut found = sql(statement.query([i64::try_from(after).unwrap_or(i64::MAX)]))?;
    let mut page = HistoryPage::default();
    let (mut seen, mut read, mut last) = (0, 0, after);
    while let Some(row) = sql(found.next())? {
        if seen >= rows || read >= LARGEST_PAGE {
            page.next = Some(last);
            break;
        }
        seen += 1;
        last = sql(row.get(0))?;
        let text = |column| sql(row.get_ref(column))?.as_str().map_err(AwsError::internal);
        if !text(1)?.starts_with(&own) {
            continue;
        }
        let (terms, state) = (text(4)?, text(5)?);
        read += terms.len() + state.len();
        let terms: Arc<Terms> = Arc::new(parse(terms)?);
        let job = Job { terms, ..parse(state)? };
        let children = if job.array.is_some() { children(conn, last, &job.terms, &mut read)? } else { Vec::new() };
        page.jobs.push(SubmittedJob { name: text(2)?.to_owned(), definition: text(3)?.to_owned(), job, children });
    }
    Ok(page)
}

fn children(conn: &Connection, array: u64, terms: &Arc<Terms>, read: &mut usize) -> Result<Vec<Job>, AwsError> {
    let query = "SELECT state FROM batch_children WHERE parent = ?1 ORDER BY idx";
    let mut statement = sql(conn.prepare_cached(query))?;
    let states = collect(&mut statement, [array], |row| row.get::<_, String>(0))?;
    let child = |state: String| {
        *read += state.len();
        Ok(Job { terms: Arc::clone(terms), ..parse(&state)? })
    };
    states.into_iter().map(child).collect()
}
