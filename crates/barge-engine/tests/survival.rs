//! What is killed, and what is left: servers, shims, containers.

mod support;

use barge_engine::{
    Access, Attempt, AttemptState, ComputeEngine, EmbeddedEngine, Ending, InitProcess, Lifetime, Mount, OutputTo,
};
use std::path::Path;
use std::time::{Duration, Instant};
use support::{PATIENCE, World, ended, running, until};

/// A server's life: an engine that runs until this is dropped, on a runtime of its own.
struct Server(Option<tokio::runtime::Runtime>, EmbeddedEngine);

impl Server {
    fn start(world: &World) -> Self {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let engine = {
            let _inside = runtime.enter();
            world.reopen()
        };
        Self(Some(runtime), engine)
    }

    fn run<T>(&self, work: impl Future<Output = T>) -> T {
        self.0.as_ref().unwrap().block_on(work)
    }

    /// All that a killed server leaves is its files and its children.
    fn kill(mut self) {
        self.0.take().unwrap().shutdown_background();
    }
}

fn world() -> World {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let world = runtime.block_on(World::new());
    runtime.shutdown_background();
    world
}

/// Shims clean up after they have told how it ended.
fn no_group_is_left(attempt: &Attempt) {
    wait_for("groups are removed", || support::groups(&format!("{}-", attempt.id)).is_empty());
}

fn wait_for(what: &str, mut reached: impl FnMut() -> bool) {
    let began = Instant::now();
    while !reached() {
        assert!(began.elapsed() < PATIENCE, "{what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

fn shared(attempt: Attempt, dir: &Path) -> Attempt {
    let mount = Mount { source: dir.to_owned(), target: "/shared".into(), access: Access::ReadWrite };
    Attempt { mounts: vec![mount], ..attempt }
}

#[test]
fn a_container_outlives_its_server_and_every_line_arrives_once() {
    let world = world();
    let dir = tempfile::tempdir().unwrap();
    let script =
        "i=0; while test ! -e /shared/enough; do echo line $i; i=$((i+1)); sleep 0.002; done; echo total $i; exit 5";
    let attempt = shared(world.script("long-lived", script), dir.path());
    let server = Server::start(&world);
    server.run(async {
        server.1.adopt().await.unwrap();
        server.1.launch(attempt.clone()).await.unwrap();
        running(&server.1, &attempt.id).await;
    });
    server.kill();
    for _ in 0..3 {
        let server = Server::start(&world);
        let before = world.log.lines("long-lived").len();
        server.run(async {
            let adopted = server.1.adopt().await.unwrap();
            assert_eq!(adopted.len(), 1);
            assert_eq!(adopted[0].attempt, attempt);
            assert!(matches!(adopted[0].state, AttemptState::Running { .. }), "{:?}", adopted[0].state);
            while world.log.lines("long-lived").len() < before + 20 {
                tokio::task::yield_now().await;
            }
        });
        server.kill();
    }
    // It ends while no server is there.
    std::fs::write(dir.path().join("enough"), "").unwrap();
    wait_for("it ends by itself", || world.journal(&attempt.id).contains("\nend "));
    let server = Server::start(&world);
    server.run(async {
        server.1.adopt().await.unwrap();
        let Ending::Exited { outcome, .. } = ended(&server.1, &attempt.id).await else { panic!("it ran") };
        assert_eq!(outcome.code, Some(5));
        server.1.forget(&attempt.id).await.unwrap();
        assert!(server.1.adopt().await.unwrap().is_empty());
    });
    let lines = world.log.lines("long-lived");
    let count = lines.len() - 1;
    assert_eq!(lines[count], format!("total {count}"));
    for (i, line) in lines[..count].iter().enumerate() {
        assert_eq!(*line, format!("line {i}"));
    }
    server.kill();
    no_group_is_left(&attempt);
}

#[test]
fn a_launch_that_a_killed_server_left_half_way_is_finished_once() {
    let world = world();
    let dir = tempfile::tempdir().unwrap();
    let attempt = shared(world.script("half", "echo ran >> /shared/runs"), dir.path());
    for _ in 0..5 {
        let server = Server::start(&world);
        server.run(async {
            server.1.adopt().await.unwrap();
            server.1.launch(attempt.clone()).await.unwrap();
        });
        server.kill();
    }
    let server = Server::start(&world);
    server.run(async {
        server.1.adopt().await.unwrap();
        match ended(&server.1, &attempt.id).await {
            Ending::Exited { outcome, .. } => assert_eq!(outcome.code, Some(0)),
            Ending::FailedToStart { reason, .. } => panic!("{reason}"),
        }
    });
    assert_eq!(std::fs::read_to_string(dir.path().join("runs")).unwrap(), "ran\n");
    server.kill();
}

#[test]
fn a_killed_shim_takes_its_container_along_and_the_attempt_is_reported_lost() {
    for init in [InitProcess::Command, InitProcess::Reaper] {
        kill_the_shim(init);
    }
}

fn kill_the_shim(init: InitProcess) {
    let world = world();
    let dir = tempfile::tempdir().unwrap();
    // Neither a process of its own nor one that nobody waits for is left.
    let script = "echo up; (while true; do echo x > /shared/alive; sleep 0.005; done) & exec sleep 1000";
    let attempt = Attempt { init, ..shared(world.script("lost", script), dir.path()) };
    let server = Server::start(&world);
    server.run(async {
        server.1.adopt().await.unwrap();
        server.1.launch(attempt.clone()).await.unwrap();
        running(&server.1, &attempt.id).await;
    });
    let alive = dir.path().join("alive");
    wait_for("the container works", || alive.exists() && !world.log.lines("lost").is_empty());
    let pid = nix::unistd::Pid::from_raw(world.shim(&attempt.id));
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL).unwrap();
    server.run(async {
        let Ending::Exited { outcome, .. } = ended(&server.1, &attempt.id).await else { panic!("it ran") };
        assert_eq!(outcome.code, None);
        assert!(outcome.reason.unwrap().contains("shim"));
    });
    std::fs::remove_file(&alive).unwrap();
    std::thread::sleep(Duration::from_millis(100));
    assert!(!alive.exists(), "nothing runs any more");
    assert_eq!(world.log.lines("lost"), ["up"]);
    server.kill();
}

#[test]
fn a_shim_that_is_killed_while_no_server_is_there_is_noticed_on_adoption() {
    let world = world();
    let attempt = world.script("unseen", "echo up; sleep 1000");
    let server = Server::start(&world);
    server.run(async {
        server.1.adopt().await.unwrap();
        server.1.launch(attempt.clone()).await.unwrap();
        running(&server.1, &attempt.id).await;
    });
    server.kill();
    let pid = nix::unistd::Pid::from_raw(world.shim(&attempt.id));
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL).unwrap();
    let lock = std::fs::File::open(world.folder(&attempt.id).join("journal")).unwrap();
    wait_for("the shim is gone", || {
        let lock = lock.try_clone().unwrap();
        nix::fcntl::Flock::lock(lock, nix::fcntl::FlockArg::LockSharedNonblock).is_ok()
    });
    let server = Server::start(&world);
    server.run(async {
        server.1.adopt().await.unwrap();
        let Ending::Exited { outcome, .. } = ended(&server.1, &attempt.id).await else { panic!("it ran") };
        assert_eq!(outcome.code, None);
    });
    server.kill();
}

#[test]
fn an_adopted_attempt_can_be_stopped() {
    let world = world();
    let attempt = world.script("adopted", "trap 'exit 4' TERM; echo ready; while true; do sleep 0.01; done");
    let server = Server::start(&world);
    server.run(async {
        server.1.adopt().await.unwrap();
        server.1.launch(attempt.clone()).await.unwrap();
        running(&server.1, &attempt.id).await;
    });
    server.kill();
    let server = Server::start(&world);
    server.run(async {
        server.1.adopt().await.unwrap();
        while world.log.lines("adopted").is_empty() {
            tokio::task::yield_now().await;
        }
        server.1.stop(&attempt.id, Some(PATIENCE)).await.unwrap();
        let Ending::Exited { outcome, .. } = ended(&server.1, &attempt.id).await else { panic!("it ran") };
        assert_eq!((outcome.code, outcome.stopped), (Some(4), true));
    });
    server.kill();
}

#[test]
fn what_lives_with_its_server_ends_with_it() {
    let world = world();
    let attempt =
        Attempt { lifetime: Lifetime::WithServer, output: OutputTo::Reader, ..world.script("bound", "sleep 1000") };
    let server = Server::start(&world);
    server.run(async {
        server.1.adopt().await.unwrap();
        server.1.launch(attempt.clone()).await.unwrap();
        running(&server.1, &attempt.id).await;
    });
    server.kill();
    let server = Server::start(&world);
    server.run(async {
        server.1.adopt().await.unwrap();
        let state = until(&server.1, &attempt.id, |s| matches!(s, AttemptState::Ended(_))).await;
        let AttemptState::Ended(Ending::Exited { outcome, .. }) = state else { panic!("{state:?}") };
        assert_eq!(outcome.signal, Some(9));
    });
    server.kill();
}
