use super::super::{Dependency, Happening};
use super::*;
use proptest::prelude::*;
use std::ops::ControlFlow;

fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(millis)
}

/// `name`, `name?` where it is not essential, then what it depends on: `a:start`.
fn container(text: &str) -> ContainerSpec {
    let mut words = text.split(' ');
    let name = words.next().unwrap();
    let depends_on = words.map(|word| {
        let (container, condition) = word.split_once(':').unwrap();
        let condition = match condition {
            "start" => Condition::Start,
            "complete" => Condition::Complete,
            _ => Condition::Success,
        };
        Dependency { container: container.to_owned(), condition }
    });
    ContainerSpec {
        depends_on: depends_on.collect(),
        essential: if name.ends_with('?') { Essential::No } else { Essential::Yes },
        ..ContainerSpec::plain(name.trim_end_matches('?'))
    }
}

fn plan(containers: &[&str]) -> Plan {
    Plan::new(&containers.iter().map(|text| container(text)).collect::<Vec<_>>()).unwrap()
}

fn exited(code: i32, millis: i64) -> Stage {
    let how = How::Exited(code, Memory::Within);
    Stage::Ended(End { started: Some(at(0)), at: at(millis), how, by: By::Itself })
}

fn stopped(code: i32, millis: i64) -> Stage {
    let how = How::Exited(code, Memory::Within);
    Stage::Ended(End { started: Some(at(0)), at: at(millis), how, by: By::Stop })
}

fn not_started(millis: i64) -> Stage {
    let how = How::NotStarted("CannotPullContainerError: no".into());
    Stage::Ended(End { started: None, at: at(millis), how, by: By::Itself })
}

fn lost(millis: i64) -> Stage {
    Stage::Ended(End { started: Some(at(0)), at: at(millis), how: How::Lost("gone".into()), by: By::Itself })
}

const RUNNING: Stage = Stage::Running { since: Timestamp::from_millis(0) };

#[test]
fn what_starts_and_stops_next() {
    let chain = ["setup?", "db? setup:success", "main db:start"];
    let waiting = Stage::Waiting;
    let go = Wish::GoOn;
    for (containers, stages, wish, launch, stop) in [
        (&["main"][..], vec![waiting.clone()], go, vec![0], vec![]),
        (&["main"], vec![Stage::Launching], go, vec![], vec![]),
        (&["main"], vec![RUNNING], Wish::Stop, vec![], vec![0]),
        (&["main"], vec![waiting.clone()], Wish::Stop, vec![], vec![]),
        // Each waits for its turn.
        (&chain, vec![waiting.clone(), waiting.clone(), waiting.clone()], go, vec![0], vec![]),
        (&chain, vec![RUNNING, waiting.clone(), waiting.clone()], go, vec![], vec![]),
        (&chain, vec![exited(0, 1), waiting.clone(), waiting.clone()], go, vec![1], vec![]),
        (&chain, vec![exited(0, 1), Stage::Launching, waiting.clone()], go, vec![], vec![]),
        (&chain, vec![exited(0, 1), RUNNING, waiting.clone()], go, vec![2], vec![]),
        // It started, and that is all that was asked.
        (&chain, vec![exited(0, 1), exited(3, 2), waiting.clone()], go, vec![2], vec![]),
        // What it waits for can't happen any more.
        (&chain, vec![exited(1, 1), waiting.clone(), waiting.clone()], go, vec![], vec![]),
        (&chain, vec![exited(0, 1), not_started(2), waiting.clone()], go, vec![], vec![]),
        // Those that depend on others stop first.
        (&chain, vec![exited(0, 1), RUNNING, RUNNING], Wish::Stop, vec![], vec![2]),
        (&chain, vec![exited(0, 1), RUNNING, exited(0, 2)], go, vec![], vec![1]),
        // The task was being ended before a restart.
        (&["a?", "b?", "c"], vec![stopped(143, 1), RUNNING, waiting.clone()], go, vec![], vec![1]),
        // An end that does not matter.
        (&["a?", "b"], vec![exited(1, 1), RUNNING], go, vec![], vec![]),
        (&["a? b:start", "b"], vec![waiting.clone(), not_started(1)], go, vec![], vec![]),
        // Nobody knows what should follow.
        (&["a?", "b", "c a:complete"], vec![lost(1), RUNNING, waiting], go, vec![], vec![1]),
        (&["a?", "b"], vec![lost(1), RUNNING], go, vec![], vec![]),
    ] {
        assert_eq!(plan(containers).next(&stages, wish), Step { launch, stop }, "{containers:?} {stages:?}");
    }
}

#[test]
fn how_a_task_ends() {
    let several = |code, ends: [(&str, Option<i32>, Option<&str>); 2]| Outcome::Exited {
        code,
        memory: Memory::Within,
        containers: ends
            .map(|(name, exit_code, reason)| ContainerEnd {
                name: name.into(),
                exit_code,
                reason: reason.map(Reason::from),
            })
            .into(),
    };
    let unmet = Some("Container was not started: its dependency on container a can't be met");
    let no = "CannotPullContainerError: no";
    for (containers, stages, wish, expected) in [
        (&["a"][..], vec![exited(3, 1)], Wish::GoOn, Some(Outcome::exited(3))),
        (&["a"], vec![not_started(1)], Wish::GoOn, Some(Outcome::FailedToStart(no.into()))),
        (&["a"], vec![lost(1)], Wish::GoOn, Some(Outcome::Lost("gone".into()))),
        (&["a"], vec![RUNNING], Wish::Stop, None),
        (
            &["a"],
            vec![Stage::Waiting],
            Wish::Stop,
            Some(Outcome::FailedToStart("TaskFailedToStart: it was stopped before it started".into())),
        ),
        // The essential container's end, and the first one's of two.
        (
            &["a", "b?"],
            vec![exited(0, 1), stopped(143, 2)],
            Wish::GoOn,
            Some(several(0, [("a", Some(0), None), ("b", Some(143), None)])),
        ),
        (
            &["a", "b"],
            vec![stopped(143, 2), exited(0, 2)],
            Wish::GoOn,
            Some(several(0, [("a", Some(143), None), ("b", Some(0), None)])),
        ),
        (&["a", "b?"], vec![RUNNING, exited(0, 1)], Wish::GoOn, None),
        // A dependency that failed is the task's end.
        (
            &["a?", "b a:success"],
            vec![exited(7, 1), Stage::Waiting],
            Wish::GoOn,
            Some(several(7, [("a", Some(7), None), ("b", None, unmet)])),
        ),
        (
            &["a?", "b a:complete"],
            vec![not_started(1), Stage::Waiting],
            Wish::GoOn,
            Some(Outcome::FailedToStart(no.into())),
        ),
        // A sidecar that can't be started does not matter.
        (
            &["a?", "b"],
            vec![not_started(1), exited(0, 2)],
            Wish::GoOn,
            Some(several(0, [("a", None, Some(no)), ("b", Some(0), None)])),
        ),
        // Nothing essential has ended.
        (
            &["a?", "b a:complete"],
            vec![stopped(9, 1), Stage::Waiting],
            Wish::Stop,
            Some(several(9, [("a", Some(9), None), ("b", None, None)])),
        ),
    ] {
        let over = plan(containers).over(&stages, wish);
        assert_eq!(over.map(|(_, outcome)| outcome), expected, "{containers:?} {stages:?}");
    }
}

#[test]
fn plans_that_can_never_run_are_refused() {
    for (containers, words) in [
        (&[][..], "the task has no containers"),
        (&["a", "a"], "container a is defined twice"),
        (&["a b:start"], "container a depends on b, which is not in the task"),
        (&["a a:start"], "the task's containers wait for each other"),
        (&["a b:start", "b? c:success", "c? a:start"], "the task's containers wait for each other"),
    ] {
        let containers: Vec<ContainerSpec> = containers.iter().map(|text| container(text)).collect();
        assert_eq!(Plan::new(&containers).unwrap_err(), words);
    }
}

#[test]
fn news_is_told_once_and_again_when_asked() {
    let plan = plan(&["a"]);
    let mut progress = Progress::new(&plan);
    assert_eq!(progress.step(&plan).launch, [0]);
    assert_eq!(progress.news(&plan), []);
    progress.note(0, Stage::Running { since: at(4) });
    let started = (Some(at(4)), Happening::Started);
    assert_eq!(progress.news(&plan), std::slice::from_ref(&started));
    assert_eq!(progress.news(&plan), []);
    progress.tell_again();
    assert_eq!(progress.news(&plan), [started]);
    progress.note(0, exited(0, 9));
    // Older than what is known.
    progress.note(0, Stage::Running { since: at(5) });
    let ended = (Some(at(9)), Happening::Ended(Outcome::exited(0)));
    assert_eq!(progress.news(&plan), std::slice::from_ref(&ended));
    progress.tell_again();
    assert_eq!(progress.news(&plan), [(Some(at(0)), Happening::Started), ended]);
}

/// The engine and a runner that may be killed at any time.
struct World {
    plan: Plan,
    containers: Vec<ContainerSpec>,
    progress: Progress,
    /// What the engine keeps.
    records: Vec<Stage>,
    launches: Vec<u32>,
    stop_asked: Vec<bool>,
    wish: Wish,
    now: i64,
}

impl World {
    fn new(containers: Vec<ContainerSpec>) -> Self {
        let plan = Plan::new(&containers).unwrap();
        let n = containers.len();
        Self {
            progress: Progress::new(&plan),
            plan,
            containers,
            records: vec![Stage::Waiting; n],
            launches: vec![0; n],
            stop_asked: vec![false; n],
            wish: Wish::GoOn,
            now: 1,
        }
    }

    fn drive(&mut self, choice: u8) {
        loop {
            let step = self.progress.step(&self.plan);
            if step.is_empty() {
                return;
            }
            assert!(step.launch.is_empty() || step.stop.is_empty(), "a task that ends starts nothing");
            for container in step.launch {
                self.launch(container, choice);
            }
            for container in step.stop {
                self.check_stop(container);
                self.stop_asked[container] = true;
            }
        }
    }

    fn launch(&mut self, container: usize, choice: u8) {
        assert_eq!(self.records[container], Stage::Waiting, "it was started before");
        for (other, stage) in self.records.iter().enumerate() {
            let Stage::Ended(end) = stage else { continue };
            let essential = self.containers[other].essential == Essential::Yes;
            assert!(!essential && end.by == By::Itself, "the task was ending");
        }
        for dependency in &self.containers[container].depends_on {
            let other = self.containers.iter().position(|other| other.name == dependency.container).unwrap();
            let stage = &self.records[other];
            let code = match stage {
                Stage::Ended(End { how: How::Exited(code, _), .. }) => Some(*code),
                _ => None,
            };
            match dependency.condition {
                Condition::Start => assert!(stage.started().is_some()),
                Condition::Complete => assert!(code.is_some()),
                Condition::Success => assert_eq!(code, Some(0)),
            }
        }
        // Now and then the image is missing: the engine never hears of it.
        if choice % 13 == 12 {
            return self.progress.note(container, not_started(self.now));
        }
        self.launches[container] += 1;
        self.records[container] = Stage::Launching;
    }

    fn check_stop(&self, container: usize) {
        assert!(self.records[container].is_living(), "it does not run");
        for (other, spec) in self.containers.iter().enumerate() {
            let needs = spec.depends_on.iter().any(|on| on.container == self.containers[container].name);
            assert!(!needs || !self.records[other].is_living(), "another still needs it");
        }
    }

    fn happen(&mut self, choice: u8) {
        self.now += i64::from(choice % 2);
        let living: Vec<usize> = (0..self.records.len()).filter(|i| self.records[*i].is_living()).collect();
        match choice % 16 {
            14 => self.restart(choice),
            15 => {
                self.wish = Wish::Stop;
                self.progress.wish_stop();
            }
            _ if living.is_empty() => {}
            kind => self.advance(living[usize::from(choice / 16) % living.len()], kind),
        }
    }

    fn advance(&mut self, container: usize, kind: u8) {
        let by = if self.stop_asked[container] { By::Stop } else { By::Itself };
        let started = self.records[container].started();
        let end = |how| Stage::Ended(End { started, at: at(self.now), how, by });
        let stage = match (&self.records[container], kind) {
            (Stage::Launching, 0) => end(How::NotStarted("no".into())),
            (Stage::Launching, _) => Stage::Running { since: at(self.now) },
            (_, 0) => end(How::Lost("gone".into())),
            (_, code) => end(How::Exited(i32::from(code / 5), Memory::Within)),
        };
        self.records[container] = stage.clone();
        self.progress.note(container, stage);
    }

    fn restart(&mut self, choice: u8) {
        self.progress = Progress::new(&self.plan);
        for (container, stage) in self.records.iter().enumerate() {
            self.progress.note(container, stage.clone());
        }
        // The task is found again first; that it was to be stopped is said afterwards.
        self.drive(choice);
        if self.wish == Wish::Stop {
            self.progress.wish_stop();
        }
    }

    fn settle(&mut self) {
        let mut turns = 0..100;
        let done = turns.try_for_each(|_| {
            self.drive(0);
            match self.records.iter().position(Stage::is_living) {
                Some(container) => {
                    self.now += 1;
                    self.advance(container, 1);
                    ControlFlow::Continue(())
                }
                None => ControlFlow::Break(()),
            }
        });
        assert_eq!(done, ControlFlow::Break(()), "the task never ends");
    }
}

fn containers() -> impl Strategy<Value = Vec<ContainerSpec>> {
    let condition = prop_oneof![Just(Condition::Start), Just(Condition::Complete), Just(Condition::Success)];
    let one = (any::<bool>(), prop::collection::vec((any::<prop::sample::Index>(), condition), 0..3));
    prop::collection::vec(one, 1..6).prop_map(|drawn| {
        let build = |(i, (essential, needs)): (usize, (bool, Vec<(prop::sample::Index, Condition)>))| {
            let depends_on = needs
                .into_iter()
                .filter(|_| i > 0)
                .map(|(other, condition)| Dependency { container: format!("c{}", other.index(i)), condition });
            ContainerSpec {
                essential: if essential { Essential::Yes } else { Essential::No },
                depends_on: depends_on.collect(),
                ..ContainerSpec::plain(&format!("c{i}"))
            }
        };
        drawn.into_iter().enumerate().map(build).collect()
    })
}

proptest! {
    #[test]
    fn a_task_ends_once_and_nothing_runs_twice(
        containers in containers(),
        choices in prop::collection::vec(any::<u8>(), 0..60),
    ) {
        let mut world = World::new(containers);
        for choice in choices {
            world.drive(choice);
            world.happen(choice);
            let over = world.plan.over(&world.progress.stages, world.wish).is_some();
            let living = world.records.iter().any(Stage::is_living);
            prop_assert!(!(over && living), "over, and containers live");
        }
        world.settle();
        prop_assert!(world.launches.iter().all(|launches| *launches <= 1), "{:?}", world.launches);
        world.progress.tell_again();
        let news = world.progress.news(&world.plan);
        let ends = news.iter().filter(|(_, what)| matches!(what, Happening::Ended(_))).count();
        prop_assert_eq!(ends, 1);
        let all_kept = world.progress.stages == world.records;
        if all_kept && world.wish == Wish::GoOn {
            // Whoever finds the records finds the same end.
            world.progress = Progress::new(&world.plan);
            for (container, stage) in world.records.iter().enumerate() {
                world.progress.note(container, stage.clone());
            }
            prop_assert!(world.progress.pending(&world.plan).is_empty());
            prop_assert_eq!(world.progress.news(&world.plan), news);
        }
    }
}
