//! A workload from jobs that there were: submitted as far apart as they were, each attempt running as long as it did and
//! ending as it did.
//!
//! What was never measured (jobs that wait, an attempt after one that Spot took) runs as long as attempts of the same job
//! definition that succeeded did on average; else those of other revisions; else all; else all that ended. A job that was ended before anything of
//! it ran is left out, and those that failed with it; so is one whose queue is not in the setup.

use super::distribution::{Distribution, millis};
use super::workload::{Class, Row, Wanted, Workload, job_id};
use super::{Problem, Setup};
use crate::core::{Dependency, JobId, Needs};
use crate::history::{Ending, PastJob, PastRun};
use barge_core::Timestamp;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::time::Duration;

/// Takes jobs one after the other, the oldest first.
pub struct History<'a> {
    setup: &'a Setup,
    workload: Workload,
    classes: HashMap<String, u32>,
    rows: HashMap<JobId, u32>,
    left_out: HashSet<JobId>,
    /// Of each row, its definition.
    definitions: Vec<u32>,
    means: Means,
    known: BTreeMap<String, u32>,
    first: Option<Timestamp>,
    notes: Notes,
}

/// What a workload of the past does not show as it was.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Notes {
    /// Queues that are not in the setup, and how many jobs are left out with each.
    pub foreign_queues: BTreeMap<String, u64>,
    /// Jobs left out since they were ended before anything of them ran.
    pub never_ran: u64,
    /// Jobs whose time was not measured, children of arrays included: it is taken from others.
    pub unmeasured: u64,
    /// Consumable resources that jobs took: a plan has none.
    pub consumables: BTreeSet<String>,
}

/// A mean in the making.
#[derive(Clone, Copy, Debug, Default)]
struct Mean {
    seconds: f64,
    count: u32,
}

impl Mean {
    fn take(&mut self, other: Self) {
        self.seconds += other.seconds;
        self.count += other.count;
    }

    fn value(self) -> Option<f64> {
        (self.count > 0).then(|| self.seconds / f64::from(self.count))
    }
}

/// How long attempts ran: those that succeeded by definition, and all that ended.
#[derive(Debug, Default)]
struct Means {
    succeeded: HashMap<u32, Mean>,
    ended: Mean,
}

impl Means {
    fn take(&mut self, definition: u32, runs: &[PastRun]) {
        for run in runs {
            let mean = Mean { seconds: run.seconds, count: 1 };
            match run.ending {
                Ending::Exited(0) => self.succeeded.entry(definition).or_default().take(mean),
                Ending::Exited(_) | Ending::OutOfMemory(_) | Ending::TimedOut => {}
                _ => continue,
            }
            self.ended.take(mean);
        }
    }

    /// What an attempt of each definition is taken to last; `None` where nothing was measured at all.
    fn typical(&self, definitions: &BTreeMap<String, u32>) -> Option<HashMap<u32, f64>> {
        let mut families: HashMap<&str, Mean> = HashMap::new();
        let mut all = Mean::default();
        for (name, number) in definitions {
            let mean = self.succeeded.get(number).copied().unwrap_or_default();
            families.entry(family(name)).or_default().take(mean);
            all.take(mean);
        }
        let fallback = all.value().or(self.ended.value())?;
        let typical = definitions.iter().map(|(name, number)| {
            let own = self.succeeded.get(number).and_then(|mean| mean.value());
            (*number, own.or_else(|| families.get(family(name))?.value()).unwrap_or(fallback))
        });
        Some(typical.collect())
    }
}

/// A definition's name without its revision.
fn family(definition: &str) -> &str {
    definition.rsplit_once(':').map_or(definition, |(name, _)| name)
}

impl<'a> History<'a> {
    /// No jobs yet.
    pub fn new(setup: &'a Setup) -> Self {
        Self {
            setup,
            workload: Workload::default(),
            classes: HashMap::new(),
            rows: HashMap::new(),
            left_out: HashSet::new(),
            definitions: Vec::new(),
            means: Means::default(),
            known: BTreeMap::new(),
            first: None,
            notes: Notes::default(),
        }
    }

    /// Takes the next job.
    pub fn take(&mut self, job: &PastJob) {
        let Some(queue) = self.setup.queue(&job.queue) else {
            *self.notes.foreign_queues.entry(job.queue.clone()).or_default() += u64::from(job.array.unwrap_or(1));
            self.left_out.insert(job.id);
            return;
        };
        if self.never_ran(job) {
            self.notes.never_ran += u64::from(job.array.unwrap_or(1));
            self.left_out.insert(job.id);
            return;
        }
        let Ok(number) = u32::try_from(self.workload.rows.len()) else { return };
        self.notes.consumables.extend(job.consumables.iter().map(|(id, _)| id.to_string()));
        let definition = self.definition(&job.definition);
        let class = self.class(queue, job);
        let dependencies = self.depend(job);
        let measured = self.measure(definition, job);
        let at = self.at(job.created_at);
        let lasts = Distribution::Constant(0.0);
        self.workload.rows.push(Row {
            at,
            class,
            dependencies,
            wanted: Wanted::Nothing,
            lasts,
            measured: Some(measured),
        });
        self.definitions.push(definition);
        self.rows.insert(job.id, number);
    }

    /// Whether it was ended before anything of it ran, or failed with one that was.
    fn never_ran(&self, job: &PastJob) -> bool {
        let on_left_out = || job.depends_on.iter().filter_map(on).any(|id| self.left_out.contains(&id.root()));
        job.stopped_at.is_some() && !job.has_run() && (job.ended_by.is_some() || on_left_out())
    }

    fn definition(&mut self, name: &str) -> u32 {
        let next = u32::try_from(self.known.len()).unwrap_or(u32::MAX);
        match self.known.get(name) {
            Some(number) => *number,
            None => *self.known.entry(name.to_owned()).or_insert(next),
        }
    }

    fn class(&mut self, queue: u32, job: &PastJob) -> u32 {
        let fair = self.setup.queues[queue as usize].fair_share.is_some();
        let needs = job.nodes.iter().flat_map(|(nodes, needs)| std::iter::repeat_n(*needs, usize::from(*nodes)));
        let class = Class {
            queue,
            share: if fair { job.share.clone() } else { String::new() },
            priority: job.priority,
            needs: needs.collect::<Vec<Needs>>(),
            array: job.array,
            retry: job.retry.clone(),
            timeout: job.timeout.map(Duration::from_secs),
            fails: 0.0,
        };
        let next = u32::try_from(self.workload.classes.len()).unwrap_or(u32::MAX);
        let found = *self.classes.entry(format!("{class:?}")).or_insert(next);
        if found == next {
            self.workload.classes.push(class);
        }
        found
    }

    /// What the job depends on, as far as it is in the workload: what is left out has been met, or would keep it for ever.
    fn depend(&mut self, job: &PastJob) -> (u32, u16) {
        let first = self.workload.dependencies.len();
        for dependency in &job.depends_on {
            let row = |id: &JobId| self.rows.get(&id.root()).copied();
            let (dependency, row, wanted) = match dependency {
                Dependency::Sequential => {
                    self.workload.dependencies.push(Dependency::Sequential);
                    continue;
                }
                Dependency::Whole(id) => {
                    let Some(row) = row(id) else { continue };
                    match id.parent() {
                        Some((_, index)) => (Dependency::Whole(job_id(row).child(index)), row, Wanted::Children),
                        None => (Dependency::Whole(job_id(row)), row, Wanted::Success),
                    }
                }
                Dependency::NToN(id) => {
                    let Some(row) = row(id) else { continue };
                    (Dependency::NToN(job_id(row)), row, Wanted::Children)
                }
            };
            self.workload.dependencies.push(dependency);
            let on = &mut self.workload.rows[row as usize];
            on.wanted = on.wanted.max(wanted);
        }
        let count = self.workload.dependencies.len() - first;
        (u32::try_from(first).unwrap_or(u32::MAX), u16::try_from(count).unwrap_or(u16::MAX))
    }

    /// Keeps the attempts of the job, or of each of an array's children.
    fn measure(&mut self, definition: u32, job: &PastJob) -> u32 {
        // Of a job that waits to be tried again, the attempt that is to come.
        let goes_on = job.stopped_at.is_none() && job.array.is_none();
        let tells = |run: &PastRun| if goes_on { run.ending == Ending::Exited(0) } else { is_whole(run) };
        let mut unmeasured = 0;
        let mut add = |runs: &[PastRun]| {
            self.means.take(definition, runs);
            unmeasured += u64::from(!runs.iter().any(tells));
            self.workload.measured.add(runs)
        };
        let first = match job.array {
            None => add(&job.attempts),
            Some(size) => {
                let mut children = job.children.iter().peekable();
                let runs = (0..size).map(|index| {
                    while children.next_if(|(before, _)| *before < index).is_some() {}
                    add(children.next_if(|(child, _)| *child == index).map_or(&[], |(_, runs)| runs))
                });
                runs.min().unwrap_or(0)
            }
        };
        self.notes.unmeasured += unmeasured;
        first
    }

    /// When it is submitted: never before the one before it, whatever the clock did.
    fn at(&mut self, created_at: Timestamp) -> Timestamp {
        let first = *self.first.get_or_insert(created_at);
        let at = Timestamp::from_millis(0) + created_at.since(first);
        self.workload.rows.last().map_or(at, |before| before.at.max(at))
    }

    /// All jobs, and what is to be known of them. A problem where there are none, or none of them has run.
    pub fn finish(self, source: &str) -> Result<(Workload, Notes), Problem> {
        let Self { mut workload, definitions, means, known, notes, .. } = self;
        if workload.rows.is_empty() {
            return Err(Problem::of(source, "there are no jobs in its history"));
        }
        let typical = match means.typical(&known) {
            Some(typical) => typical,
            None if notes.unmeasured == 0 => HashMap::new(),
            None => {
                let message = "no attempt of its jobs has ended yet: nothing tells how long they run";
                return Err(Problem::of(source, message));
            }
        };
        for (row, definition) in workload.rows.iter_mut().zip(definitions) {
            let seconds = typical.get(&definition).copied().unwrap_or_default();
            row.lasts = Distribution::Constant(seconds);
            let Some(first) = row.measured else { continue };
            for number in 0..workload.classes[row.class as usize].array.unwrap_or(1) {
                workload.measured.go_on(first + number, millis(seconds));
            }
        }
        Ok((workload, notes))
    }
}

/// The job that a dependency is on.
fn on(dependency: &Dependency) -> Option<JobId> {
    match dependency {
        Dependency::Whole(id) | Dependency::NToN(id) => Some(*id),
        Dependency::Sequential => None,
    }
}

/// Whether a run tells how long such attempts take.
fn is_whole(run: &PastRun) -> bool {
    !matches!(run.ending, Ending::Running | Ending::Interrupted)
}

#[cfg(test)]
mod tests {
    use super::super::{Assumptions, Outcome, compare};
    use super::*;
    use crate::core::{EndedBy, Retry};

    fn setup(max_vcpus: u32) -> Setup {
        let text = format!(
            r#"{{"environments": [{{"name": "ce", "type": "FARGATE", "maxvCpus": {max_vcpus}}}],
                "queues": [{{"name": "q", "environments": ["ce"]}}]}}"#
        );
        Setup::parse("plan.json", &text).unwrap()
    }

    fn run(seconds: u32, ending: Ending) -> PastRun {
        PastRun { seconds: seconds.into(), ending }
    }

    /// A job of one vCPU, submitted at so many seconds, that has ended.
    fn job(number: u128, at: i64, attempts: Vec<PastRun>) -> PastJob {
        PastJob {
            id: JobId::new(number),
            name: format!("job-{number}"),
            definition: "d:1".to_owned(),
            queue: "q".to_owned(),
            share: String::new(),
            priority: 0,
            status: "SUCCEEDED".to_owned(),
            created_at: Timestamp::from_millis(1_700_000_000_000 + at * 1000),
            stopped_at: Some(Timestamp::from_millis(1_800_000_000_000)),
            ended_by: None,
            nodes: vec![(1, Needs { vcpu_milli: 1000, memory_mib: 2048 })],
            consumables: Vec::new(),
            retry: Retry { attempts: 3, rules: Vec::new() },
            timeout: None,
            depends_on: Vec::new(),
            attempts,
            array: None,
            children: Vec::new(),
        }
    }

    fn array(number: u128, at: i64, size: u32, children: Vec<(u32, Vec<PastRun>)>) -> PastJob {
        PastJob { array: Some(size), children, ..job(number, at, Vec::new()) }
    }

    fn waiting(job: PastJob) -> PastJob {
        PastJob { stopped_at: None, status: "RUNNABLE".to_owned(), ..job }
    }

    fn after(job: PastJob, on: Dependency) -> PastJob {
        PastJob { depends_on: vec![on], ..job }
    }

    fn cancelled(job: PastJob) -> PastJob {
        PastJob { ended_by: Some(EndedBy::Cancel), status: "FAILED".to_owned(), ..job }
    }

    fn ok(seconds: u32) -> Vec<PastRun> {
        vec![run(seconds, Ending::Exited(0))]
    }

    fn replay(max_vcpus: u32, jobs: &[PastJob]) -> (Outcome, Notes) {
        let setup = setup(max_vcpus);
        let mut history = History::new(&setup);
        for job in jobs {
            history.take(job);
        }
        let (workload, notes) = history.finish("server").unwrap();
        let report = compare(&setup, &workload, &Assumptions::ideal(1), &[], &|_, _, _| {}).unwrap();
        (report.outcomes.into_iter().next().unwrap(), notes)
    }

    #[test]
    fn jobs_go_as_they_went() {
        let whole = |number| Dependency::Whole(JobId::new(number));
        let fails = |code, seconds| run(seconds, Ending::Exited(code));
        // Jobs; then succeeded, failed, attempts, makespan on four vCPUs.
        let cases: Vec<(&str, Vec<PastJob>, [u64; 4])> = vec![
            ("at their times", vec![job(1, 0, ok(10)), job(2, 100, ok(5))], [2, 0, 2, 105]),
            ("a clock set back", vec![job(1, 50, ok(10)), job(2, 0, ok(5))], [2, 0, 2, 10]),
            ("failures and all", vec![job(1, 0, vec![fails(1, 7), fails(2, 8), fails(0, 9)])], [1, 0, 3, 24]),
            ("fails for good", vec![job(1, 0, vec![fails(1, 1), fails(1, 2), fails(1, 3)])], [0, 1, 3, 6]),
            (
                "no image, then lost",
                vec![job(
                    1,
                    0,
                    vec![
                        run(5, Ending::NotStarted("CannotPull".into())),
                        run(6, Ending::Lost("gone".into())),
                        fails(0, 7),
                    ],
                )],
                [1, 0, 3, 18],
            ),
            ("stopped, not tried again", vec![job(1, 0, vec![run(30, Ending::Stopped)])], [0, 1, 1, 30]),
            (
                "timed out, not tried again",
                vec![PastJob { timeout: Some(60), ..job(1, 0, vec![run(61, Ending::TimedOut)]) }],
                [0, 1, 1, 61],
            ),
            (
                "what Spot took goes as others of the definition",
                vec![
                    job(1, 0, vec![run(3, Ending::Interrupted), fails(0, 20)]),
                    job(2, 0, vec![run(1, Ending::Interrupted)]),
                ],
                [2, 0, 2, 20],
            ),
            (
                "what waits and what runs goes as others did",
                vec![
                    job(1, 0, ok(10)),
                    job(2, 0, ok(30)),
                    waiting(job(3, 100, Vec::new())),
                    waiting(job(4, 100, vec![run(25, Ending::Running)])),
                    waiting(job(5, 100, vec![fails(1, 1), run(2, Ending::Running)])),
                ],
                [5, 0, 6, 125],
            ),
            (
                "children have their own times",
                vec![array(1, 0, 3, vec![(0, ok(10)), (1, vec![fails(1, 5), fails(0, 5)]), (2, ok(40))])],
                [3, 0, 4, 40],
            ),
            (
                "children without a record go as others",
                vec![waiting(array(1, 0, 4, vec![(1, ok(10)), (3, ok(30))]))],
                [4, 0, 4, 30],
            ),
            (
                "dependencies",
                vec![job(1, 0, ok(10)), after(job(2, 0, ok(5)), whole(1)), after(job(3, 60, ok(5)), whole(1))],
                [3, 0, 3, 65],
            ),
            (
                "on children, counterparts and the one before",
                vec![
                    array(1, 0, 2, vec![(0, ok(10)), (1, ok(20))]),
                    after(job(2, 0, ok(5)), Dependency::Whole(JobId::new(1).child(0))),
                    after(array(3, 0, 2, vec![(0, ok(1)), (1, ok(1))]), Dependency::NToN(JobId::new(1))),
                    after(array(4, 0, 2, vec![(0, ok(4)), (1, ok(4))]), Dependency::Sequential),
                    after(job(5, 100, ok(5)), Dependency::Whole(JobId::new(1).child(1))),
                ],
                [8, 0, 8, 105],
            ),
            (
                "fails with what it waited for",
                vec![
                    PastJob { retry: Retry::default(), ..job(1, 0, vec![fails(1, 10)]) },
                    after(job(2, 0, Vec::new()), whole(1)),
                ],
                [0, 2, 1, 10],
            ),
            (
                "what never ran is left out, and what failed with it; what ran goes on without it",
                vec![
                    job(1, 0, ok(10)),
                    cancelled(job(2, 0, Vec::new())),
                    after(job(3, 0, Vec::new()), whole(2)),
                    PastJob { queue: "gone".to_owned(), ..job(4, 0, ok(9)) },
                    after(job(5, 20, ok(1)), whole(4)),
                ],
                [2, 0, 2, 21],
            ),
        ];
        for (what, jobs, expected) in cases {
            let (found, _) = replay(4, &jobs);
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // small and whole
            let makespan = found.makespan_seconds.round() as u64;
            assert_eq!([found.succeeded, found.failed, found.attempts, makespan], expected, "{what}");
            assert_eq!((found.waiting, found.refused), (0, 0), "{what}");
        }
    }

    #[test]
    fn what_does_not_show_is_noted() {
        let took = PastJob { consumables: vec![("arn:c".into(), 2)], ..job(1, 0, ok(10)) };
        let (_, notes) = replay(
            4,
            &[
                took,
                waiting(array(2, 0, 3, vec![(1, ok(3))])),
                cancelled(job(3, 0, Vec::new())),
                PastJob { queue: "gone".to_owned(), ..array(4, 0, 5, Vec::new()) },
            ],
        );
        let expected = Notes {
            foreign_queues: BTreeMap::from([("gone".to_owned(), 5)]),
            never_ran: 1,
            unmeasured: 2,
            consumables: BTreeSet::from(["arn:c".to_owned()]),
        };
        assert_eq!(notes, expected);
    }

    #[test]
    fn times_are_taken_from_the_nearest_relatives() {
        let of = |definition: &str, job: PastJob| PastJob { definition: definition.to_owned(), ..job };
        let failed = |seconds| job(9, 0, vec![run(seconds, Ending::Exited(1))]);
        for (measured, expected) in [
            (vec![of("d:1", job(8, 0, ok(10))), of("d:2", job(9, 0, ok(50)))], 10.0),
            (vec![of("d:2", job(8, 0, ok(20))), of("d:3", job(9, 0, ok(40))), of("e:1", job(7, 0, ok(99)))], 30.0),
            (vec![of("e:1", job(8, 0, ok(10))), of("f:1", failed(70))], 10.0),
            (vec![of("e:1", failed(70))], 70.0),
        ] {
            let (mut means, mut known) = (Means::default(), BTreeMap::from([("d:1".to_owned(), 0)]));
            for job in &measured {
                let next = u32::try_from(known.len()).unwrap();
                let number = *known.entry(job.definition.clone()).or_insert(next);
                means.take(number, &job.attempts);
            }
            assert_eq!(means.typical(&known).unwrap()[&0].round().to_bits(), f64::to_bits(expected), "{measured:?}");
        }
    }

    #[test]
    fn a_history_that_tells_nothing_is_refused() {
        let setup = setup(4);
        for (jobs, message) in [
            (vec![], "server: there are no jobs in its history"),
            (vec![cancelled(job(1, 0, Vec::new()))], "server: there are no jobs in its history"),
            (
                vec![waiting(job(1, 0, vec![run(9, Ending::Running)]))],
                "server: no attempt of its jobs has ended yet: nothing tells how long they run",
            ),
        ] {
            let mut history = History::new(&setup);
            for job in &jobs {
                history.take(job);
            }
            assert_eq!(history.finish("server").unwrap_err().to_string(), message);
        }
    }

    #[test]
    fn nodes_keep_what_each_takes() {
        let setup = Setup::parse(
            "plan.json",
            r#"{"environments": [{"name": "ce", "type": "EC2", "maxvCpus": 64}], "queues": [{"name": "q", "environments": ["ce"]}]}"#,
        )
        .unwrap();
        let (large, small) =
            (Needs { vcpu_milli: 4000, memory_mib: 2048 }, Needs { vcpu_milli: 1000, memory_mib: 1024 });
        let mut history = History::new(&setup);
        history.take(&PastJob { nodes: vec![(1, large), (2, small)], ..job(1, 0, ok(60)) });
        let (workload, _) = history.finish("server").unwrap();
        let report = compare(&setup, &workload, &Assumptions::ideal(1), &[], &|_, _, _| {}).unwrap();
        let found = &report.outcomes[0];
        assert_eq!((found.succeeded, found.attempts, found.vcpus.peak.to_bits()), (1, 1, f64::to_bits(6.0)));
    }
}
