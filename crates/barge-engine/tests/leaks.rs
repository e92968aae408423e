//! Many attempts leave nothing behind. Alone in its program: it counts what the process has open.

mod support;

use barge_engine::{Attempt, ComputeEngine, EventKind};
use std::time::{Duration, Instant};
use support::{PATIENCE, World, groups};

const ATTEMPTS: usize = 120;
const AT_ONCE: usize = 40;

fn entries(directory: &str) -> usize {
    std::fs::read_dir(directory).map_or(0, Iterator::count)
}

#[tokio::test]
async fn many_attempts_leave_no_file_descriptor_process_or_group() {
    let world = World::with(|config| config.starts_at_once = 8).await;
    let own = std::process::id();
    let left = || groups(&format!("leak-{own}-"));
    let attempt = |number: usize| -> Attempt {
        world.script(&format!("leak-{own}-{number}"), if number.is_multiple_of(3) { "echo hello" } else { "true" })
    };
    let mut events = world.engine.subscribe();
    let before = entries("/proc/self/fd");
    let (mut launched, mut ended) = (0, 0);
    while ended < ATTEMPTS {
        while launched < ATTEMPTS && launched - ended < AT_ONCE {
            world.engine.launch(attempt(launched)).await.unwrap();
            launched += 1;
        }
        let event = support::next(&mut events).await;
        if let EventKind::Ended(_) = event.kind {
            world.engine.forget(&event.id).await.unwrap();
            ended += 1;
        }
    }
    let attempts = world.dir.path().join("engine/attempts");
    let children = || std::fs::read_to_string(format!("/proc/self/task/{own}/children")).unwrap_or_default();
    let clean = || {
        entries("/proc/self/fd") <= before
            && std::fs::read_dir(&attempts).unwrap().next().is_none()
            && left().is_empty()
            && children().is_empty()
    };
    let began = Instant::now();
    while !clean() {
        let found = (entries("/proc/self/fd"), before, left(), children());
        assert!(began.elapsed() < PATIENCE, "{found:?}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
