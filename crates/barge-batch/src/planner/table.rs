//! A report as a table for people: a line for each figure, a column for each scenario.

use super::{Outcome, Report};
use std::fmt::Write as _;

/// The report as text, with a newline at its end.
pub fn table(report: &Report) -> String {
    let mut rows = vec![row("", &report.outcomes, |outcome| outcome.title.clone())];
    rows.push(row("makespan", &report.outcomes, |outcome| time(outcome.makespan_seconds)));
    rows.push(row("succeeded", &report.outcomes, |outcome| count(outcome.succeeded)));
    rows.push(row("failed", &report.outcomes, |outcome| count(outcome.failed)));
    let some = |of: fn(&Outcome) -> u64| report.outcomes.iter().any(|outcome| of(outcome) > 0);
    if some(|outcome| outcome.waiting) {
        rows.push(row("never started", &report.outcomes, |outcome| count(outcome.waiting)));
    }
    if some(|outcome| outcome.refused) {
        rows.push(row("can't run there", &report.outcomes, |outcome| count(outcome.refused)));
    }
    rows.push(row("attempts", &report.outcomes, |outcome| count(outcome.attempts)));
    rows.push(row("interruptions", &report.outcomes, |outcome| count(outcome.interruptions)));
    for queue in 0..report.outcomes.first().map_or(0, |outcome| outcome.waits.len()) {
        rows.extend(waits(report, queue));
    }
    rows.push(row("vCPUs, mean", &report.outcomes, |outcome| number(outcome.vcpus.mean)));
    rows.push(row("vCPUs, peak", &report.outcomes, |outcome| number(outcome.vcpus.peak)));
    rows.push(row("of their maximum", &report.outcomes, |outcome| percent(outcome.vcpus.utilisation)));
    rows.push(row("GiB, mean", &report.outcomes, |outcome| number(outcome.memory_gib.mean)));
    rows.push(row("GiB, peak", &report.outcomes, |outcome| number(outcome.memory_gib.peak)));
    if report.outcomes.iter().any(|outcome| outcome.memory_gib.utilisation.is_some()) {
        rows.push(row("of its memory", &report.outcomes, |outcome| percent(outcome.memory_gib.utilisation)));
    }
    if report.outcomes.iter().any(|outcome| outcome.instances.is_some()) {
        rows.extend(instances(report));
    }
    rows.push(row("cost, USD", &report.outcomes, |outcome| outcome.cost_micros.map_or("-".to_owned(), dollars)));
    let mut text = aligned(&rows);
    text.push_str(&notes(report));
    text
}

type Line = Vec<String>;

fn row(label: &str, outcomes: &[Outcome], figure: impl Fn(&Outcome) -> String) -> Line {
    [label.to_owned()].into_iter().chain(outcomes.iter().map(figure)).collect()
}

fn waits(report: &Report, queue: usize) -> Vec<Line> {
    let name = report.outcomes[0].waits[queue].queue.as_str();
    let wait = |label: String, of: fn(&super::QueueWait) -> f64| {
        row(&label, &report.outcomes, |outcome| outcome.waits.get(queue).map_or(String::new(), |wait| time(of(wait))))
    };
    vec![
        wait(format!("wait in {name}, 50 %"), |wait| wait.p50),
        wait(format!("wait in {name}, 90 %"), |wait| wait.p90),
        wait(format!("wait in {name}, 99 %"), |wait| wait.p99),
        wait(format!("wait in {name}, most"), |wait| wait.max),
    ]
}

fn instances(report: &Report) -> Vec<Line> {
    let figure = |label: &str, of: fn(&super::Instances) -> String| {
        row(label, &report.outcomes, |outcome| outcome.instances.as_ref().map_or("-".to_owned(), of))
    };
    vec![
        figure("instances", |instances| count(instances.launched)),
        figure("instance-hours", |instances| number(instances.hours)),
        figure("vCPUs of them in use", |instances| percent(instances.vcpu_utilisation)),
        figure("memory of them in use", |instances| percent(instances.memory_utilisation)),
    ]
}

fn aligned(rows: &[Line]) -> String {
    let columns = rows.first().map_or(0, Vec::len);
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut text = String::new();
    for row in rows {
        let mut line = format!("{:<width$}", row[0], width = widths[0]);
        for (figure, width) in row.iter().zip(&widths).skip(1) {
            let _ = write!(line, "  {figure:>width$}");
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

fn notes(report: &Report) -> String {
    let assumed = &report.assumptions;
    let mut text = format!(
        "\n{} jobs, seed {}. Assumed: {} Spot interruptions an hour; start on Fargate {} s, on EC2 {} s, boot {} s, idle {} s. \
         Prices of {}; Spot prices are examples.\n",
        count(report.jobs),
        assumed.seed,
        assumed.interruptions_per_hour,
        assumed.fargate_start.as_secs_f64(),
        assumed.ec2_start.as_secs_f64(),
        assumed.instance_boot.as_secs_f64(),
        assumed.instance_idle.as_secs_f64(),
        report.prices_of,
    );
    for outcome in &report.outcomes {
        for waiting in &outcome.waiting_for {
            let (title, jobs) = (&outcome.title, count(waiting.jobs));
            let _ = writeln!(text, "{title}: {jobs} jobs of {} never start: {}", waiting.queue, waiting.reason);
        }
    }
    text
}

/// A whole number with commas.
pub(super) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

fn number(number: f64) -> String {
    format!("{number:.1}")
}

fn percent(part: Option<f64>) -> String {
    part.map_or("-".to_owned(), |part| format!("{:.1} %", part * 100.0))
}

fn dollars(micros: u64) -> String {
    let cents = (micros + 5000) / 10_000;
    format!("{}.{:02}", count(cents / 100), cents % 100)
}

/// Seconds as people read them: `8.5 s`, `12 m 03 s`, `5 h 07 m`, `3 d 04 h`.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // rounded, and not below 0
pub(super) fn time(seconds: f64) -> String {
    let whole = seconds.max(0.0).round() as u64;
    let (minutes, hours, days) = (whole / 60, whole / 3600, whole / 86_400);
    match whole {
        0..60 => format!("{seconds:.1} s"),
        60..3600 => format!("{minutes} m {:02} s", whole % 60),
        3600..86_400 => format!("{hours} h {:02} m", minutes % 60),
        _ => format!("{days} d {:02} h", hours % 24),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_as_people_read_them() {
        for (number, text) in [(0, "0"), (999, "999"), (1000, "1,000"), (1_234_567, "1,234,567")] {
            assert_eq!(count(number), text);
        }
        for (micros, text) in [(0, "0.00"), (4999, "0.00"), (5000, "0.01"), (12_345_678_901, "12,345.68")] {
            assert_eq!(dollars(micros), text);
        }
        for (seconds, text) in
            [(0.0, "0.0 s"), (8.46, "8.5 s"), (723.0, "12 m 03 s"), (18_420.0, "5 h 07 m"), (273_600.0, "3 d 04 h")]
        {
            assert_eq!(time(seconds), text);
        }
    }
}
