//! `barge queues`: job queues and compute environments, what they hold and what waits in them.

use super::server::{self, ServerArgument};
use super::table::{Shown, number, seconds, table};
use barge_batch::board::{Board, EnvironmentBoard, History, QueueBoard};
use comfy_table::Cell;
use std::process::ExitCode;

/// Arguments of `barge queues`.
#[derive(clap::Args)]
pub(crate) struct Queues {
    #[command(flatten)]
    shown: Shown,
    #[command(flatten)]
    server: ServerArgument,
}

impl Queues {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        let Self { shown, server } = self;
        server::run(shown.show(async || server.ask::<_, Board>("board", &()).await, board_text))
    }
}

fn board_text(board: &Board) -> String {
    let machine = &board.machine;
    format!(
        "{}\n\n{}\n\nThe machine: {} of {} vCPUs promised, {} of {} MiB given out.",
        queues_text(&board.queues),
        environments_text(&board.environments),
        number(machine.vcpus_in_use),
        number(machine.vcpus),
        machine.memory_in_use_mib,
        machine.memory_mib,
    )
}

fn queues_text(queues: &[QueueBoard]) -> String {
    if queues.is_empty() {
        return "No job queues.".to_owned();
    }
    let states = ["SUBMITTED", "PENDING", "RUNNABLE", "STARTING", "RUNNING"];
    let rows = queues.iter().map(|queue| {
        let start = [queue.name.clone(), queue.state.clone(), queue.priority.to_string()];
        let jobs = states.iter().map(|state| queue.jobs.get(*state).copied().unwrap_or(0).to_string());
        let held = [number(queue.vcpus_in_use)];
        let cells = start.into_iter().chain(jobs).chain(held).chain(history(&queue.history));
        cells.chain([queue.environments.join(", ")]).map(Cell::new).collect()
    });
    let heads = [
        "QUEUE",
        "STATE",
        ">PRIORITY",
        ">SUBMITTED",
        ">PENDING",
        ">RUNNABLE",
        ">STARTING",
        ">RUNNING",
        ">VCPUS",
        ">DONE",
        ">TRIED AGAIN",
        ">FAILED",
        ">MEAN WAIT",
        ">MEAN RUN",
        "ENVIRONMENTS",
    ];
    table(&heads, rows)
}

fn environments_text(environments: &[EnvironmentBoard]) -> String {
    if environments.is_empty() {
        return "No compute environments.".to_owned();
    }
    let rows = environments.iter().map(|environment| {
        let desired = environment.desired_vcpus.map_or_else(|| "-".to_owned(), number);
        let instances = environment.instances.iter().map(|(kind, count)| format!("{count} {kind}"));
        let start = [
            environment.name.clone(),
            environment.r#type.clone(),
            environment.state.clone(),
            environment.tasks.to_string(),
            number(environment.vcpus_in_use),
            number(environment.max_vcpus),
            desired,
            environment.memory_in_use_mib.to_string(),
        ];
        let cells = start.into_iter().chain(history(&environment.history));
        cells.chain([instances.collect::<Vec<_>>().join(", ")]).map(Cell::new).collect()
    });
    let heads = [
        "ENVIRONMENT",
        "TYPE",
        "STATE",
        ">TASKS",
        ">VCPUS",
        ">MAX",
        ">DESIRED",
        ">MIB",
        ">DONE",
        ">TRIED AGAIN",
        ">FAILED",
        ">MEAN WAIT",
        ">MEAN RUN",
        "INSTANCES",
    ];
    table(&heads, rows)
}

fn history(history: &History) -> [String; 5] {
    let mean = |timing: &barge_batch::board::Timing| timing.mean().map_or_else(|| "-".to_owned(), seconds);
    [
        history.succeeded.to_string(),
        history.retried.to_string(),
        history.failed.to_string(),
        mean(&history.waits),
        mean(&history.runs),
    ]
}
