//! `barge jobs logs`: what a job has printed, read as any client reads it: where it goes from DescribeJobs, the lines from
//! GetLogEvents.

use super::server::ServerArgument;
use super::table::print;
use crate::client::Refused;
use anyhow::{Context as _, bail};
use barge_core::{Document, Timestamp};
use clap::Args;
use std::time::Duration;

/// Between two looks while a log is followed.
const LOOK_EVERY: Duration = Duration::from_millis(400);
/// Where lines go that a definition names no group for.
const DEFAULT_GROUP: &str = "/aws/batch/job";

/// Arguments of `barge jobs logs`.
#[derive(Args)]
pub(super) struct Logs {
    /// The job's id; a child of an array is ID:INDEX, a node ID#NODE
    id: String,
    /// Wait for more until the job has ended, over further attempts
    #[arg(long, short)]
    follow: bool,
    /// Of this attempt, from 1 [default: the latest]
    #[arg(long, value_name = "N", conflicts_with = "follow")]
    attempt: Option<usize>,
    /// Of this container, where the job has several
    #[arg(long, value_name = "NAME")]
    container: Option<String>,
    /// Begin each line with its time
    #[arg(long, short)]
    timestamps: bool,
}

/// Where a job's lines are, as far as its attempts have started.
#[derive(Debug, Default, PartialEq, Eq)]
struct Streams {
    group: String,
    /// One for each attempt, in order.
    names: Vec<String>,
    status: String,
}

impl Logs {
    pub(super) async fn run(self, server: &ServerArgument) -> anyhow::Result<()> {
        let mut streams = self.streams(server).await?;
        let at = match self.attempt {
            Some(number) => number.checked_sub(1).filter(|at| *at < streams.names.len()),
            None => streams.names.len().checked_sub(1),
        };
        if self.follow {
            return self.follow(server, streams, at.unwrap_or(0)).await;
        }
        let status = std::mem::take(&mut streams.status);
        let at = at.with_context(|| match self.attempt {
            Some(number) => format!("attempt {number} of job {} has printed nothing", self.id),
            None => format!("job {} is {status} and has not started: see `barge jobs why {}`", self.id, self.id),
        })?;
        self.drain(server, &streams.group, &streams.names[at], None).await.map(drop)
    }

    async fn follow(&self, server: &ServerArgument, mut streams: Streams, mut at: usize) -> anyhow::Result<()> {
        let mut token = None;
        loop {
            // A job that had ended before its lines were read has no more of them than were read.
            let ended = matches!(streams.status.as_str(), "SUCCEEDED" | "FAILED");
            if let Some(name) = streams.names.get(at) {
                token = self.drain(server, &streams.group, name, token).await?;
                if at + 1 < streams.names.len() {
                    (at, token) = (at + 1, None);
                    continue;
                }
            }
            if ended {
                return Ok(());
            }
            tokio::time::sleep(LOOK_EVERY).await;
            streams = self.streams(server).await?;
        }
    }

    async fn streams(&self, server: &ServerArgument) -> anyhow::Result<Streams> {
        let input = Document::map([("jobs", Document::List(vec![self.id.as_str().into()]))]);
        let answer = server.batch("/v1/describejobs", &input).await?;
        let job = answer.get("jobs").and_then(Document::as_list).and_then(<[_]>::first);
        let job = job.with_context(|| format!("job {} does not exist", self.id))?;
        streams(job, self.container.as_deref())
    }

    /// Prints what has come since `token`; gives the token for what comes next.
    async fn drain(
        &self,
        server: &ServerArgument,
        group: &str,
        stream: &str,
        mut token: Option<String>,
    ) -> anyhow::Result<Option<String>> {
        loop {
            let mut input = vec![
                ("logGroupName", group.into()),
                ("logStreamName", stream.into()),
                ("startFromHead", Document::Bool(true)),
            ];
            input.extend(token.as_deref().map(|token| ("nextToken", Document::from(token))));
            let answer = match server.logs("GetLogEvents", &Document::map(input)).await {
                Err(error) if is_missing(&error) => return Ok(token),
                answer => answer?,
            };
            let events = answer.get("events").and_then(Document::as_list).unwrap_or_default();
            let lines: Vec<String> = events.iter().map(|event| self.line(event)).collect();
            if !lines.is_empty() {
                print(&lines.join("\n"))?;
            }
            let next = answer.get("nextForwardToken").and_then(Document::as_str).map(str::to_owned);
            if next == token || next.is_none() {
                return Ok(token);
            }
            token = next;
        }
    }

    fn line(&self, event: &Document) -> String {
        let message = event.get("message").and_then(Document::as_str).unwrap_or_default();
        match event.get("timestamp") {
            Some(Document::Integer(millis)) if self.timestamps => {
                format!("{} {message}", Timestamp::from_millis(*millis).iso8601())
            }
            _ => message.to_owned(),
        }
    }
}

/// Whether the stream, or its group, is not there yet.
fn is_missing(error: &anyhow::Error) -> bool {
    error.downcast_ref::<Refused>().is_some_and(|refused| refused.code.contains("ResourceNotFoundException"))
}

/// Reads from a job's description where the lines of a container are.
fn streams(job: &Document, container: Option<&str>) -> anyhow::Result<Streams> {
    let attempts = job.get("attempts").and_then(Document::as_list).unwrap_or_default();
    let (latest, past): (&Document, Vec<Option<&Document>>) = match task_containers(job.get("ecsProperties")) {
        Some(several) => {
            let latest = pick(several, container)?;
            let name = latest.get("name");
            let same = |found: &&Document| found.get("name") == name;
            let of_attempt = |attempt| task_containers(Some(attempt)).and_then(|all| all.iter().find(same));
            (latest, attempts.iter().map(of_attempt).collect())
        }
        None if container.is_some() => bail!("the job has one container, without a name"),
        None => {
            let latest = job.get("container").context("the job has no container: name one of its children or nodes")?;
            (latest, attempts.iter().map(|attempt| attempt.get("container")).collect())
        }
    };
    let stream = |container: &Document| container.get("logStreamName").and_then(Document::as_str).map(str::to_owned);
    let mut names: Vec<String> = past.into_iter().flatten().filter_map(stream).collect();
    names.extend(stream(latest).filter(|name| names.last() != Some(name)));
    let options = latest.get("logConfiguration").and_then(|log| log.get("options"));
    let group = options.and_then(|options| options.get("awslogs-group")).and_then(Document::as_str);
    let status = job.get("status").and_then(Document::as_str).unwrap_or_default().to_owned();
    Ok(Streams { group: group.unwrap_or(DEFAULT_GROUP).to_owned(), names, status })
}

/// The containers of `taskProperties`, where there is one.
fn task_containers(holder: Option<&Document>) -> Option<&[Document]> {
    holder?.get("taskProperties")?.as_list()?.first()?.get("containers")?.as_list()
}

/// The container that is meant.
fn pick<'a>(containers: &'a [Document], name: Option<&str>) -> anyhow::Result<&'a Document> {
    let name_of = |container: &'a Document| container.get("name").and_then(Document::as_str).unwrap_or_default();
    let found = match (name, containers) {
        (None, [only]) => Some(only),
        (None, _) => None,
        (Some(name), _) => containers.iter().find(|container| name_of(container) == name),
    };
    found.with_context(|| {
        let all: Vec<&str> = containers.iter().map(name_of).collect();
        format!("name one of the job's containers with --container: {}", all.join(", "))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(json: &str, container: Option<&str>) -> Result<Streams, String> {
        streams(&Document::from_json(json.as_bytes()).unwrap(), container).map_err(|error| error.to_string())
    }

    fn expected(group: &str, names: &[&str], status: &str) -> Streams {
        let names = names.iter().map(ToString::to_string).collect();
        Streams { group: group.to_owned(), names, status: status.to_owned() }
    }

    #[test]
    fn each_attempt_that_started_has_a_stream() {
        for (json, names, status) in [
            (r#"{"status":"RUNNABLE","container":{}}"#, vec![], "RUNNABLE"),
            (r#"{"status":"RUNNING","container":{"logStreamName":"a"}}"#, vec!["a"], "RUNNING"),
            (
                r#"{"status":"RUNNING","container":{"logStreamName":"b"},
                    "attempts":[{"container":{"logStreamName":"a"}},{"container":{}}]}"#,
                vec!["a", "b"],
                "RUNNING",
            ),
            (
                r#"{"status":"FAILED","container":{"logStreamName":"a"},"attempts":[{"container":{"logStreamName":"a"}}]}"#,
                vec!["a"],
                "FAILED",
            ),
        ] {
            assert_eq!(of(json, None), Ok(expected(DEFAULT_GROUP, &names, status)), "{json}");
        }
    }

    #[test]
    fn of_several_containers_one_is_named() {
        let json = r#"{"status":"RUNNING",
            "ecsProperties":{"taskProperties":[{"containers":[
                {"name":"main","logStreamName":"m2","logConfiguration":{"options":{"awslogs-group":"g"}}},
                {"name":"side","logStreamName":"s2"}]}]},
            "attempts":[{"taskProperties":[{"containers":[{"name":"side","logStreamName":"s1"},{"name":"main","logStreamName":"m1"}]}]}]}"#;
        assert_eq!(of(json, Some("main")), Ok(expected("g", &["m1", "m2"], "RUNNING")));
        assert_eq!(of(json, Some("side")), Ok(expected(DEFAULT_GROUP, &["s1", "s2"], "RUNNING")));
        for name in [None, Some("other")] {
            assert_eq!(of(json, name), Err("name one of the job's containers with --container: main, side".to_owned()));
        }
        assert!(of(r#"{"container":{}}"#, Some("main")).is_err());
        assert!(of(r#"{"nodeProperties":{}}"#, None).is_err());
    }
}
