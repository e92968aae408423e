//! Tables for a terminal: plain columns, wrapped to the terminal's width and coloured there, neither where the output goes
//! elsewhere. Durations, amounts and numbers as people read them.

use anyhow::Context as _;
use comfy_table::{Cell, CellAlignment, Color, ColumnConstraint, ContentArrangement, Table, presets};
use serde::Serialize;
use std::io::{IsTerminal, Write as _};
use std::time::Duration;

/// Between two looks of `--watch`.
const WATCHED_EVERY: Duration = Duration::from_secs(1);

/// How an answer is shown.
#[derive(clap::Args, Clone, Copy)]
pub(super) struct Shown {
    /// Print JSON: the same data as the table
    #[arg(long)]
    json: bool,
    /// Show it again every second, until interrupted
    #[arg(long, short)]
    watch: bool,
}

/// How an answer that is shown once is shown.
#[derive(clap::Args, Clone, Copy)]
pub(super) struct ShownOnce {
    /// Print JSON: the same data as the text
    #[arg(long)]
    json: bool,
}

impl Shown {
    /// Asks and shows, once or again and again.
    pub(super) async fn show<T: Serialize>(
        self,
        ask: impl AsyncFn() -> anyhow::Result<T>,
        text: impl Fn(&T) -> String,
    ) -> anyhow::Result<()> {
        if !self.watch {
            return print(&self.written(&ask().await?, &text)?);
        }
        loop {
            let page = self.written(&ask().await?, &text)?;
            let clear = if std::io::stdout().is_terminal() && !self.json { "\x1b[H\x1b[2J" } else { "" };
            print(&format!("{clear}{page}"))?;
            tokio::time::sleep(WATCHED_EVERY).await;
        }
    }

    fn written<T: Serialize>(self, answer: &T, text: impl Fn(&T) -> String) -> anyhow::Result<String> {
        match (self.json, self.watch) {
            (true, true) => Ok(serde_json::to_string(answer)?),
            (true, false) => Ok(serde_json::to_string_pretty(answer)?),
            (false, _) => Ok(text(answer)),
        }
    }
}

impl ShownOnce {
    /// Shows an answer.
    pub(super) fn show<T: Serialize>(self, answer: &T, text: impl Fn(&T) -> String) -> anyhow::Result<()> {
        Shown { json: self.json, watch: false }.written(answer, text).and_then(|page| print(&page))
    }
}

/// Prints a page. That nobody reads any more is an end like any other, and no failure.
pub(super) fn print(page: &str) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    match writeln!(out, "{}", page.trim_end_matches('\n')).and_then(|()| out.flush()) {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => std::process::exit(0),
        result => result.context("can't write"),
    }
}

/// A table with these columns; those whose head begins with `>` are aligned to the right.
pub(super) fn table(heads: &[&str], rows: impl IntoIterator<Item = Vec<Cell>>) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    if std::io::stdout().is_terminal() {
        table.set_content_arrangement(ContentArrangement::Dynamic);
    } else {
        table.set_content_arrangement(ContentArrangement::Disabled).force_no_tty();
    }
    table.set_header(heads.iter().map(|head| head.trim_start_matches('>')));
    table.add_rows(rows);
    for (column, head) in table.column_iter_mut().zip(heads) {
        column.set_padding((0, 2));
        if head.starts_with('>') {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    // What a row is about is to be copied from the terminal, so it is never broken.
    if let Some(first) = table.column_mut(0) {
        first.set_constraint(ColumnConstraint::ContentWidth);
    }
    table.lines().map(|line| line.trim_end().to_owned()).collect::<Vec<_>>().join("\n")
}

/// A job's state, in its colour.
pub(super) fn status_cell(status: &str) -> Cell {
    let cell = Cell::new(status);
    let colour = match status {
        "RUNNING" | "STARTING" => Color::Cyan,
        "SUCCEEDED" => Color::Green,
        "FAILED" => Color::Red,
        "RUNNABLE" => Color::Yellow,
        _ => return cell,
    };
    if std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty()) { cell } else { cell.fg(colour) }
}

/// A duration in at most two units: `340ms`, `7s`, `3m12s`, `2h05m`, `3d04h`.
pub(super) fn duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0 if duration.is_zero() => "0s".to_owned(),
        0 => format!("{}ms", duration.as_millis()),
        1..60 => format!("{seconds}s"),
        60..3600 => format!("{}m{:02}s", seconds / 60, seconds % 60),
        3600..86_400 => format!("{}h{:02}m", seconds / 3600, seconds / 60 % 60),
        _ => format!("{}d{:02}h", seconds / 86_400, seconds / 3600 % 24),
    }
}

/// Seconds as a duration; nothing below zero.
pub(super) fn seconds(seconds: f64) -> String {
    duration(Duration::try_from_secs_f64(seconds).unwrap_or_default())
}

/// Millionths of a US dollar; `-` for nothing that has a price.
pub(super) fn dollars(micros: Option<u64>) -> String {
    match micros {
        None => "-".to_owned(),
        Some(micros) if micros < 1_000_000 => format!("${}.{:06}", micros / 1_000_000, micros % 1_000_000),
        Some(micros) => format!("${}.{:02}", (micros + 5000) / 1_000_000, (micros + 5000) / 10_000 % 100),
    }
}

/// A number without needless digits.
pub(super) fn number(number: f64) -> String {
    let text = format!("{number:.3}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_two_units_at_most() {
        for (millis, text) in
            [(0, "0s"), (340, "340ms"), (7999, "7s"), (192_000, "3m12s"), (7_500_000, "2h05m"), (273_600_000, "3d04h")]
        {
            assert_eq!(duration(Duration::from_millis(millis)), text);
        }
        assert_eq!(seconds(-1.0), "0s");
        assert_eq!(seconds(61.5), "1m01s");
    }

    #[test]
    fn amounts_and_numbers() {
        for (micros, text) in [
            (None, "-"),
            (Some(0), "$0.000000"),
            (Some(823), "$0.000823"),
            (Some(1_234_999), "$1.23"),
            (Some(1_235_000), "$1.24"),
            (Some(9_999_999), "$10.00"),
        ] {
            assert_eq!(dollars(micros), text);
        }
        for (value, text) in [(0.25, "0.25"), (4.0, "4"), (0.0, "0"), (10.0, "10")] {
            assert_eq!(number(value), text);
        }
    }

    #[test]
    fn what_goes_elsewhere_is_plain_columns() {
        let rows = [vec![status_cell("FAILED"), Cell::new(7)], vec![status_cell("x"), Cell::new(10)]];
        assert_eq!(table(&["STATUS", ">N"], rows), "STATUS   N\nFAILED   7\nx       10");
    }
}
