//! The board as Prometheus reads it (Prometheus documentation, "Text-based format", 0.0.4).

use super::histogram::Histogram;
use super::{Board, EnvironmentBoard, QueueBoard};
use barge_core::{Arn, Scope};
use std::fmt::{self, Display, Write as _};

const MIB: u64 = 1 << 20;

impl Board {
    /// Everything as metrics in text format 0.0.4. Queues and environments are named by name, account and region.
    pub fn prometheus(&self) -> String {
        let mut page = Page::default();
        self.write_queues(&mut page);
        self.write_environments(&mut page);
        self.write_machine(&mut page);
        self.write_attempts(&mut page);
        page.0
    }

    fn write_queues(&self, page: &mut Page) {
        page.metric(
            "barge_batch_jobs",
            Kind::Gauge,
            "Jobs that have not ended, by state; an array counts by its children.",
        );
        for queue in &self.queues {
            for (status, count) in &queue.jobs {
                page.value("barge_batch_jobs", &queue.labels().with("status", status), count);
            }
        }
        let name = "barge_batch_queue_vcpus_in_use";
        page.metric(name, Kind::Gauge, "vCPUs that a queue's jobs hold.");
        self.queues.iter().for_each(|queue| page.value(name, &queue.labels(), queue.vcpus_in_use));
    }

    fn write_environments(&self, page: &mut Page) {
        type Read = fn(&EnvironmentBoard) -> Option<f64>;
        #[allow(clippy::cast_precision_loss)] // bytes of memory fit 53 bits
        let metrics: [(&str, &str, Read); 5] = [
            ("barge_batch_tasks", "Tasks that run or are being started.", |e| Some(e.tasks.into())),
            ("barge_batch_vcpus_in_use", "vCPUs that tasks hold.", |e| Some(e.vcpus_in_use)),
            ("barge_batch_vcpus_max", "vCPUs that tasks may hold: maxvCpus.", |e| Some(e.max_vcpus)),
            ("barge_batch_vcpus_desired", "vCPUs of the environment's instances: desiredvCpus.", |e| e.desired_vcpus),
            ("barge_batch_memory_in_use_bytes", "Memory that tasks hold.", |e| {
                Some((e.memory_in_use_mib * MIB) as f64)
            }),
        ];
        for (name, help, read) in metrics {
            page.metric(name, Kind::Gauge, help);
            for environment in &self.environments {
                if let Some(value) = read(environment) {
                    page.value(name, &environment.labels(), value);
                }
            }
        }
        page.metric("barge_batch_instances", Kind::Gauge, "Instances, by type.");
        for environment in &self.environments {
            for (kind, count) in &environment.instances {
                page.value("barge_batch_instances", &environment.labels().with("instance_type", kind), count);
            }
        }
    }

    fn write_machine(&self, page: &mut Page) {
        let machine = &self.machine;
        let none = Labels::default();
        for (name, help, value) in [
            ("barge_batch_machine_vcpus_in_use", "vCPUs that all tasks hold.", machine.vcpus_in_use),
            ("barge_batch_machine_vcpus", "vCPUs that may be promised.", machine.vcpus),
        ] {
            page.metric(name, Kind::Gauge, help);
            page.value(name, &none, value);
        }
        for (name, help, mib) in [
            ("barge_batch_machine_memory_in_use_bytes", "Memory that all tasks hold.", machine.memory_in_use_mib),
            ("barge_batch_machine_memory_bytes", "Memory that may be given out.", machine.memory_mib),
        ] {
            page.metric(name, Kind::Gauge, help);
            page.value(name, &none, mib.saturating_mul(MIB));
        }
    }

    fn write_attempts(&self, page: &mut Page) {
        let totals = || {
            self.totals.iter().map(|((queue, environment), totals)| {
                (
                    Labels::of("queue", queue.as_str()).with("environment", &super::last_part(environment.as_str())),
                    totals,
                )
            })
        };
        let name = "barge_batch_attempts_ended_total";
        page.metric(name, Kind::Counter, "Attempts that ended, by what became of the job.");
        for (labels, totals) in totals() {
            for (result, count) in
                [("succeeded", totals.succeeded), ("retried", totals.retried), ("failed", totals.failed)]
            {
                page.value(name, &labels.with("result", result), count);
            }
        }
        let name = "barge_batch_attempt_wait_seconds";
        page.metric(name, Kind::Histogram, "From submission, or the end of the attempt before, to a place.");
        totals().for_each(|(labels, totals)| page.histogram(name, &labels, &totals.waits));
        let name = "barge_batch_attempt_run_seconds";
        page.metric(name, Kind::Histogram, "From the main container's start to its end.");
        totals().for_each(|(labels, totals)| page.histogram(name, &labels, &totals.runs));
    }
}

impl QueueBoard {
    fn labels(&self) -> Labels {
        Labels::of("queue", &self.arn)
    }
}

impl EnvironmentBoard {
    fn labels(&self) -> Labels {
        Labels::of("environment", &self.arn)
    }
}

#[derive(Clone, Copy)]
enum Kind {
    Counter,
    Gauge,
    Histogram,
}

impl Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        })
    }
}

/// Names and values, in order.
#[derive(Clone, Default)]
struct Labels(Vec<(&'static str, String)>);

impl Labels {
    /// A resource's name, account and region.
    fn of(label: &'static str, arn: &str) -> Self {
        let name = (label, super::last_part(arn));
        let scope = arn.parse::<Arn>().ok().and_then(|arn| arn.scope());
        let scope =
            scope.map(|Scope { account, region }| [("account", account.to_string()), ("region", region.to_string())]);
        Self(std::iter::once(name).chain(scope.into_iter().flatten()).collect())
    }

    fn with(&self, name: &'static str, value: &str) -> Self {
        let mut labels = self.clone();
        labels.0.push((name, value.to_owned()));
        labels
    }
}

impl Display for Labels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, (name, value)) in self.0.iter().enumerate() {
            let value = value.replace('\\', r"\\").replace('"', "\\\"").replace('\n', r"\n");
            write!(f, "{}{name}=\"{value}\"", if at == 0 { "{" } else { "," })?;
        }
        f.write_str(if self.0.is_empty() { "" } else { "}" })
    }
}

/// Lines written so far; writing to a string never fails.
#[derive(Default)]
struct Page(String);

impl Page {
    fn metric(&mut self, name: &str, kind: Kind, help: &str) {
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    fn value(&mut self, name: &str, labels: &Labels, value: impl Display) {
        let _ = writeln!(self.0, "{name}{labels} {value}");
    }

    fn histogram(&mut self, name: &str, labels: &Labels, histogram: &Histogram) {
        let bucket = format!("{name}_bucket");
        for (bound, count) in histogram.cumulative() {
            self.value(&bucket, &labels.with("le", &bound.to_string()), count);
        }
        self.value(&bucket, &labels.with("le", "+Inf"), histogram.count());
        self.value(&format!("{name}_sum"), labels, histogram.seconds());
        self.value(&format!("{name}_count"), labels, histogram.count());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::board::meter::Totals;
    use crate::core::{
        Discipline, EnvironmentKind, EnvironmentSpec, Event, JobId, JobSpec, Machine, Needs, Platform, QueueSpec,
        Shape, State, Switch, Terms, apply,
    };
    use barge_core::Timestamp;
    use std::sync::Arc;
    use std::time::Duration;

    const QUEUE: &str = "arn:aws:batch:us-east-1:000000000000:job-queue/q";
    const ENVIRONMENT: &str = "arn:aws:batch:us-east-1:000000000000:compute-environment/ce";

    fn board() -> Board {
        let mut state = State::new(Machine { vcpu_milli: 4000, memory_mib: 1024 });
        let now = Timestamp::from_millis(1);
        let environment = EnvironmentSpec {
            id: ENVIRONMENT.into(),
            kind: EnvironmentKind::Fargate,
            switch: Switch::Enabled,
            max_vcpu_milli: 1000,
            fleet: None,
        };
        let queue = QueueSpec {
            id: QUEUE.into(),
            priority: 1,
            switch: Switch::Enabled,
            environments: vec![ENVIRONMENT.into()],
            discipline: Discipline::FirstInFirstOut,
            limits: Vec::new(),
        };
        let needs = Needs { vcpu_milli: 750, memory_mib: 512 };
        let shape = Shape { platform: Platform::Fargate, tasks: vec![needs], consumables: Vec::new() };
        let terms = Terms { queue: QUEUE.into(), shape: Arc::new(shape), ..Terms::default() };
        let submit = |id| Event::Submit(JobSpec { id: JobId::new(id), terms: terms.clone(), known: Vec::new() });
        for event in [Event::PutEnvironment(environment), Event::PutQueue(queue), submit(1), submit(2)] {
            apply(&mut state, now, event).unwrap();
        }
        let mut totals = Totals { succeeded: 3, ..Totals::default() };
        totals.runs.add(Duration::from_millis(1500));
        Board::new(&state, now, [((QUEUE.into(), ENVIRONMENT.into()), totals)].into())
    }

    #[test]
    fn every_sample_belongs_to_a_metric_that_is_described() {
        let text = board().prometheus();
        let mut described = Vec::new();
        for line in text.lines() {
            if let Some(rest) = line.strip_prefix("# TYPE ") {
                described.push(rest.split(' ').next().unwrap_or_default().to_owned());
            } else if !line.starts_with('#') {
                let name = line.split(['{', ' ']).next().unwrap_or_default();
                let base = ["_bucket", "_sum", "_count"].iter().find_map(|end| name.strip_suffix(end));
                let is_last = |name: &str| described.last().is_some_and(|last| last == name);
                assert!(is_last(name) || base.is_some_and(is_last), "{line}");
                assert!(line.rsplit(' ').next().is_some_and(|value| value.parse::<f64>().is_ok()), "{line}");
            }
        }
        assert!(text.ends_with('\n'));
    }

    #[test]
    fn what_is_held_and_what_waits_is_told() {
        let text = board().prometheus();
        let of = r#"account="000000000000",region="us-east-1""#;
        for line in [
            format!(r#"barge_batch_jobs{{queue="q",{of},status="RUNNABLE"}} 1"#),
            format!(r#"barge_batch_jobs{{queue="q",{of},status="STARTING"}} 1"#),
            format!(r#"barge_batch_jobs{{queue="q",{of},status="PENDING"}} 0"#),
            format!(r#"barge_batch_queue_vcpus_in_use{{queue="q",{of}}} 0.75"#),
            format!(r#"barge_batch_vcpus_in_use{{environment="ce",{of}}} 0.75"#),
            format!(r#"barge_batch_vcpus_max{{environment="ce",{of}}} 1"#),
            format!(r#"barge_batch_memory_in_use_bytes{{environment="ce",{of}}} 536870912"#),
            "barge_batch_machine_memory_bytes 1073741824".to_owned(),
            format!(r#"barge_batch_attempts_ended_total{{queue="q",{of},environment="ce",result="succeeded"}} 3"#),
            format!(r#"barge_batch_attempt_run_seconds_bucket{{queue="q",{of},environment="ce",le="1"}} 0"#),
            format!(r#"barge_batch_attempt_run_seconds_bucket{{queue="q",{of},environment="ce",le="5"}} 1"#),
            format!(r#"barge_batch_attempt_run_seconds_sum{{queue="q",{of},environment="ce"}} 1.5"#),
        ] {
            assert!(text.lines().any(|found| found == line), "{line}\n{text}");
        }
        assert!(!text.contains("barge_batch_vcpus_desired{"), "Fargate has no instances");
    }

    #[test]
    fn a_caller_sees_what_is_theirs() {
        let own = board().within(&Scope::default());
        assert_eq!((own.queues.len(), own.environments.len(), own.totals.len()), (1, 1, 1));
        let elsewhere = Scope { region: barge_core::Region::new("eu-west-1").unwrap(), ..Scope::default() };
        let other = board().within(&elsewhere);
        assert_eq!((other.queues.len(), other.environments.len(), other.totals.len()), (0, 0, 0));
    }

    #[test]
    fn labels_are_escaped() {
        let labels = Labels::default().with("queue", "a\"b\\c\nd");
        assert_eq!(labels.to_string(), r#"{queue="a\"b\\c\nd"}"#);
    }

    #[test]
    fn the_board_is_the_same_after_json_but_for_the_metrics() {
        let board = board();
        let json = serde_json::to_string(&board).unwrap();
        let back: Board = serde_json::from_str(&json).unwrap();
        assert_eq!((back.queues, back.environments), (board.queues, board.environments));
        assert!(json.contains(r#""runs":{"count":1,"seconds":1.5},"succeeded":3"#), "{json}");
    }
}
