//! `barge jobs`: which jobs there are, what they wait for, what they print, what they cost; and their end.

use super::server::{self, ServerArgument};
use super::table::{Shown, ShownOnce, dollars, duration, number, print, seconds, status_cell, table};
use barge_batch::operator::{AttemptsAnswer, AttemptsQuery, Explanation, JobLine, JobsAnswer, JobsQuery, WhyQuery};
use barge_core::{Clock as _, Document, SystemClock, Timestamp};
use clap::{Args, Subcommand};
use comfy_table::Cell;
use std::fmt::Write as _;
use std::process::ExitCode;

/// Arguments of `barge jobs`.
#[derive(Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Jobs {
    #[command(flatten)]
    list: List,
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    server: ServerArgument,
}

#[derive(Args)]
struct List {
    /// Of this job queue alone, by name or ARN
    #[arg(long, short, value_name = "QUEUE")]
    queue: Option<String>,
    /// In this state alone; `live` for all that have not ended
    #[arg(long, short, value_name = "STATE")]
    status: Option<String>,
    /// At most so many, the newest
    #[arg(long, short = 'n', value_name = "N")]
    limit: Option<usize>,
    #[command(flatten)]
    shown: Shown,
}

#[derive(Subcommand)]
enum Command {
    /// Say why a job is in its state: what it waits for, where it runs, how its attempts ended
    Why(Why),
    /// Print what a job has printed
    Logs(super::job_logs::Logs),
    /// Stop jobs: what runs is told to end, what waits is taken out
    Stop(Stop),
    /// List attempts that have ended, and what they would have cost on AWS
    Attempts(Attempts),
}

#[derive(Args)]
struct Why {
    /// The job's id
    id: String,
    #[command(flatten)]
    shown: ShownOnce,
}

#[derive(Args)]
struct Stop {
    /// The jobs' ids; a child of an array is ID:INDEX
    #[arg(required = true)]
    ids: Vec<String>,
    /// The status reason that they get
    #[arg(long, default_value = "Stopped by the operator")]
    reason: String,
}

#[derive(Args)]
struct Attempts {
    /// Of this job; of an array, those of its children
    id: Option<String>,
    /// Of the jobs in this queue, by name or ARN
    #[arg(long, short, value_name = "QUEUE", conflicts_with = "id")]
    queue: Option<String>,
    #[command(flatten)]
    shown: ShownOnce,
}

impl Jobs {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        let Self { list, command, server } = self;
        server::run(async {
            match command {
                None => list.run(&server).await,
                Some(Command::Why(why)) => why.run(&server).await,
                Some(Command::Logs(logs)) => logs.run(&server).await,
                Some(Command::Stop(stop)) => stop.run(&server).await,
                Some(Command::Attempts(attempts)) => attempts.run(&server).await,
            }
        })
    }
}

impl List {
    async fn run(self, server: &ServerArgument) -> anyhow::Result<()> {
        let Self { queue, status, limit, shown } = self;
        let query = JobsQuery { queue, status, limit };
        let ask = async || server.ask::<_, JobsAnswer>("jobs", &query).await;
        shown.show(ask, |answer| list_text(answer, SystemClock.now())).await
    }
}

fn list_text(answer: &JobsAnswer, now: Timestamp) -> String {
    let row = |job: &JobLine| {
        let ran = job.started_at.map(|started| duration(job.stopped_at.unwrap_or(now).since(started)));
        vec![
            Cell::new(job.id),
            Cell::new(&job.name),
            Cell::new(&job.queue),
            status_cell(&job.status),
            Cell::new(duration(now.since(job.created_at))),
            Cell::new(ran.unwrap_or_default()),
            Cell::new(job.attempts),
            Cell::new(remark(job)),
        ]
    };
    let heads = ["ID", "NAME", "QUEUE", "STATUS", ">AGE", ">RAN", ">TRIES", "REMARK"];
    let mut text = table(&heads, answer.jobs.iter().map(row));
    if answer.jobs.is_empty() {
        "No jobs.".clone_into(&mut text);
    } else if answer.more {
        text.push_str("\nThere are more: see --limit.");
    }
    text
}

/// Of an array, how its children stand; what the job waits for; where neither is to be said, why it is in its state.
fn remark(job: &JobLine) -> String {
    let children = job.children.iter().map(|(status, count)| format!("{count} {}", status.to_lowercase()));
    let children: Vec<String> = children.collect();
    match (children.join(", "), job.waits_for.join("; ")) {
        (children, causes) if children.is_empty() && causes.is_empty() => job.reason.clone().unwrap_or_default(),
        (children, causes) if children.is_empty() => causes,
        (children, causes) if causes.is_empty() => children,
        (children, causes) => format!("{children}: {causes}"),
    }
}

impl Why {
    async fn run(self, server: &ServerArgument) -> anyhow::Result<()> {
        let answer: Explanation = server.ask("why", &WhyQuery { job: self.id }).await?;
        self.shown.show(&answer, |answer| why_text(answer, SystemClock.now()))
    }
}

fn why_text(job: &Explanation, now: Timestamp) -> String {
    let mut lines = vec![
        format!("{} ({}) in queue {}: {}", job.id, job.name, job.queue, job.status),
        format!("submitted {} ago", duration(now.since(job.created_at))),
    ];
    if let Some(reason) = &job.reason {
        lines.push(reason.clone());
    }
    match job.ahead {
        Some(0) => lines.push("first of its queue and share".to_owned()),
        Some(1) => lines.push("1 job of its queue and share comes before it".to_owned()),
        Some(ahead) => lines.push(format!("{ahead} jobs of its queue and share come before it")),
        None => {}
    }
    lines.extend(job.waits_for.iter().cloned());
    if let Some(place) = &job.place {
        let mut line = format!("in compute environment {}", place.environment);
        for instance in &place.instances {
            let _ = write!(line, ", on {instance}");
        }
        let since = match place.started_at {
            Some(started) => format!(", runs since {}", duration(now.since(started))),
            None => format!(", being started since {}", duration(now.since(place.placed_at))),
        };
        lines.push(line + &since);
    }
    for attempt in &job.attempts {
        let code = attempt.exit_code.map_or_else(String::new, |code| format!(", exit code {code}"));
        let (number, ran) = (attempt.attempt, seconds(attempt.run_seconds));
        lines.push(format!("attempt {number} ran {ran}{code}: {}", attempt.status_reason));
    }
    lines.join("\n")
}

impl Stop {
    async fn run(self, server: &ServerArgument) -> anyhow::Result<()> {
        for id in self.ids {
            let input = Document::map([("jobId", id.as_str().into()), ("reason", self.reason.as_str().into())]);
            server.batch("/v1/terminatejob", &input).await?;
            print(&id)?;
        }
        Ok(())
    }
}

impl Attempts {
    async fn run(self, server: &ServerArgument) -> anyhow::Result<()> {
        let query = AttemptsQuery { job: self.id, queue: self.queue };
        let answer: AttemptsAnswer = server.ask("attempts", &query).await?;
        self.shown.show(&answer, attempts_text)
    }
}

fn attempts_text(answer: &AttemptsAnswer) -> String {
    if answer.attempts.is_empty() {
        return "No attempt has ended.".to_owned();
    }
    let rows = answer.attempts.iter().map(|attempt| {
        let environment = attempt.environment.as_str();
        let on = environment.rsplit('/').next().unwrap_or(environment);
        let on = attempt.instance_type.as_ref().map_or_else(|| on.to_owned(), |kind| format!("{on} {kind}"));
        vec![
            Cell::new(attempt.job),
            Cell::new(attempt.attempt),
            Cell::new(on),
            Cell::new(attempt.exit_code.map_or_else(String::new, |code| code.to_string())),
            Cell::new(seconds(attempt.wait_seconds)),
            Cell::new(seconds(attempt.run_seconds)),
            Cell::new(number(attempt.vcpu_seconds)),
            Cell::new(number(attempt.memory_mib_seconds / 1024.0)),
            Cell::new(dollars(attempt.cost.fargate)),
            Cell::new(dollars(attempt.cost.fargate_spot)),
            Cell::new(dollars(attempt.cost.ec2)),
            Cell::new(dollars(attempt.cost.ec2_spot)),
        ]
    });
    let total = [answer.cost.fargate, answer.cost.fargate_spot, answer.cost.ec2, answer.cost.ec2_spot];
    let blank = std::iter::once(Cell::new("all of these")).chain((1..8).map(|_| Cell::new("")));
    let sum = blank.chain(total.map(|cost| Cell::new(dollars(cost)))).collect();
    let heads = [
        "JOB",
        ">TRY",
        "ON",
        ">EXIT",
        ">WAITED",
        ">RAN",
        ">VCPU-S",
        ">GIB-S",
        ">FARGATE",
        ">FARGATE SPOT",
        ">EC2",
        ">EC2 SPOT",
    ];
    let more = if answer.more { "There are more.\n" } else { "" };
    format!("{}\n{more}{}", table(&heads, rows.chain([sum])), answer.prices.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(status: &str) -> JobLine {
        JobLine { name: "build".into(), queue: "q".into(), status: status.into(), attempts: 1, ..JobLine::default() }
    }

    #[test]
    fn a_waiting_job_says_for_what() {
        let waiting = JobLine { waits_for: vec!["needs 4 vCPUs".into(), "needs 9 MiB".into()], ..line("RUNNABLE") };
        let text = list_text(&JobsAnswer { jobs: vec![waiting], more: true }, Timestamp::from_millis(5000));
        let lines: Vec<Vec<&str>> =
            text.lines().map(|line| line.split("  ").filter(|s| !s.is_empty()).collect()).collect();
        assert_eq!(lines[1][1..4], ["build", "q", "RUNNABLE"]);
        assert_eq!(lines[1].last(), Some(&"needs 4 vCPUs; needs 9 MiB"));
        assert_eq!(lines[2], ["There are more: see --limit."]);
    }

    #[test]
    fn an_array_says_how_its_children_stand() {
        let children = [("RUNNING".to_owned(), 2), ("SUCCEEDED".to_owned(), 3)].into();
        let array = JobLine { children, reason: Some("other".into()), ..line("PENDING") };
        assert_eq!(remark(&array), "2 running, 3 succeeded");
        let waiting = JobLine { waits_for: vec!["needs 1 vCPUs".into()], ..array };
        assert_eq!(remark(&waiting), "2 running, 3 succeeded: needs 1 vCPUs");
        assert_eq!(list_text(&JobsAnswer::default(), Timestamp::default()), "No jobs.");
    }
}
