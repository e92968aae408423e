//! The history of a running server as a workload for `barge simulate`: fetched a page at a time, kept small.

use super::server::ServerArgument;
use barge_batch::operator::{HistoryAnswer, HistoryQuery};
use barge_batch::planner::{History, Notes, Setup, Workload};
use std::fmt::Write as _;

/// What a server's queues and compute environments are called in messages.
const SOURCE: &str = "the server";

/// The server's queues and compute environments.
pub(super) async fn setup(server: &ServerArgument) -> anyhow::Result<Setup> {
    let setup: Setup = server.ask("setup", &serde_json::json!({})).await?;
    Ok(setup.checked(SOURCE)?)
}

/// All jobs that the server has had, and what is to be said of them.
pub(super) async fn workload(server: &ServerArgument, setup: &Setup) -> anyhow::Result<(Workload, String)> {
    let mut history = History::new(setup);
    let mut query = HistoryQuery::default();
    loop {
        let page: HistoryAnswer = server.ask("history", &query).await?;
        for job in &page.jobs {
            history.take(job);
        }
        match page.next {
            Some(next) if next > query.after => query.after = next,
            _ => break,
        }
    }
    let (workload, notes) = history.finish(SOURCE)?;
    Ok((workload, text(&notes)))
}

/// A line for each note.
fn text(notes: &Notes) -> String {
    let mut text = String::new();
    for (queue, jobs) in &notes.foreign_queues {
        let _ = writeln!(text, "left out: {jobs} jobs of {queue}, a queue that is not there");
    }
    if notes.never_ran > 0 {
        let _ = writeln!(text, "left out: {} jobs that were ended before they ran", notes.never_ran);
    }
    if notes.unmeasured > 0 {
        let _ = writeln!(text, "not measured: {} jobs, taken to run as long as others", notes.unmeasured);
    }
    if !notes.consumables.is_empty() {
        let names: Vec<&str> = notes.consumables.iter().map(|arn| arn.rsplit('/').next().unwrap_or(arn)).collect();
        let _ = writeln!(text, "not planned: consumable resources ({})", names.join(", "));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notes_are_said_where_there_are_any() {
        assert_eq!(text(&Notes::default()), "");
        let notes = Notes {
            foreign_queues: [("old".to_owned(), 3)].into(),
            never_ran: 1,
            unmeasured: 2,
            consumables: ["arn:aws:batch:r:a:consumable-resource/licence".to_owned()].into(),
        };
        let said = text(&notes);
        let lines: Vec<&str> = said.lines().collect();
        assert_eq!(
            lines,
            [
                "left out: 3 jobs of old, a queue that is not there",
                "left out: 1 jobs that were ended before they ran",
                "not measured: 2 jobs, taken to run as long as others",
                "not planned: consumable resources (licence)",
            ]
        );
    }
}
