//! What breaks: shims that die early, servers that are killed at an awkward moment, disks that are full, images that are
//! gone, machines that go down.

mod support;

use barge_engine::{Attempt, AttemptState, ComputeEngine, EmbeddedConfig, EmbeddedEngine, Ending, StartFailure};
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use std::path::{Path, PathBuf};
use std::time::Duration;
use support::{World, config, ended, running, script_shim};

fn reason(ending: Ending) -> String {
    match ending {
        Ending::FailedToStart { cause: StartFailure::Container, reason, .. } => reason,
        ending => panic!("{ending:?}"),
    }
}

#[tokio::test]
async fn a_shim_that_dies_before_the_command_runs_ends_the_attempt_with_a_reason() {
    for (script, words) in [
        ("kill -9 $$", "the shim ended before it began: no reason given"),
        ("echo broken pipes >&2; exit 1", "the shim ended before it began: broken pipes"),
        ("exec /no/such/shim", "the shim ended before it began: "),
        ("echo begun >> $0/journal; kill -9 $$", "the shim that ran it was killed, and its container with it"),
        (
            "echo begun >> $0/journal; echo torn >&2; kill -9 $$",
            "the shim that ran it failed, and its container ended with it: torn",
        ),
    ] {
        let world = World::with(|config| config.shim = script_shim(script)).await;
        let told = reason(world.run(world.script("a", "true")).await);
        assert!(told.starts_with(words), "{script}: {told}");
        world.engine.forget(&barge_engine::AttemptId::new("a").unwrap()).await.unwrap();
    }
    let world = World::with(|config| config.shim.program = PathBuf::from("/no/such/shim")).await;
    assert!(reason(world.run(world.script("a", "true")).await).contains("cannot be started"));
}

/// A server that is killed after it has taken an attempt, and before it does anything for it.
fn launch_and_die(world: &World, attempt: &Attempt) {
    // On one thread, nothing that was spawned runs before the launch has returned, and nothing at all after.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let engine = world.reopen_with(|config| config.shim = script_shim("echo a server started it; exit 1"));
        engine.adopt().await.unwrap();
        engine.launch(attempt.clone()).await.unwrap();
    });
}

fn fresh() -> World {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(World::new())
}

/// What the next server makes of `attempt`.
fn next_server(world: &World, attempt: &Attempt) -> Ending {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let ending = runtime.block_on(async {
        let engine = world.reopen();
        assert_eq!(engine.adopt().await.unwrap().len(), 1);
        ended(&engine, &attempt.id).await
    });
    runtime.shutdown_background();
    ending
}

#[test]
fn what_a_server_took_and_did_not_start_the_next_one_starts() {
    let world = fresh();
    let attempt = world.script("taken", "echo ran; exit 5");
    launch_and_die(&world, &attempt);
    assert!(!world.journal(&attempt.id).contains("pid"), "nobody has it yet");
    let Ending::Exited { outcome, .. } = next_server(&world, &attempt) else { panic!("it runs") };
    assert_eq!((outcome.code, world.log.lines("taken")), (Some(5), vec!["ran".to_owned()]));
}

#[test]
fn nothing_that_may_have_run_runs_again_after_the_machine_went_down() {
    for (line, running) in [("", false), ("begun\n", false), ("begun\nstarted 5\n", true)] {
        let world = fresh();
        let attempt = world.script("before", "echo ran");
        launch_and_die(&world, &attempt);
        let journal = world.folder(&attempt.id).join("journal");
        std::fs::write(&journal, world.journal(&attempt.id) + line + "torn by the crash").unwrap();
        std::fs::write(world.dir.path().join("engine/boot"), "another").unwrap();
        match next_server(&world, &attempt) {
            Ending::Exited { outcome, .. } if running => {
                assert_eq!(
                    (outcome.code, outcome.reason.as_deref()),
                    (None, Some("the machine went down while it ran"))
                );
            }
            ending => assert_eq!(reason(ending), "the machine went down before it was known to run"),
        }
        assert!(world.log.lines("before").is_empty());
    }
}

#[test]
fn a_folder_that_did_not_reach_the_disk_as_a_whole_is_no_attempt() {
    let world = fresh();
    let attempt = world.script("torn", "echo ran");
    launch_and_die(&world, &attempt);
    std::fs::write(world.folder(&attempt.id).join("journal"), "").unwrap();
    std::fs::write(world.dir.path().join("engine/boot"), "another").unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let engine = world.reopen();
        assert!(engine.adopt().await.unwrap().is_empty());
        assert!(engine.watch(&attempt.id).is_err());
        // It can be launched again.
        engine.launch(attempt.clone()).await.unwrap();
        assert!(matches!(ended(&engine, &attempt.id).await, Ending::Exited { .. }));
    });
    runtime.shutdown_background();
}

#[test]
fn a_log_that_fails_through_two_servers_has_every_line_once() {
    let world = fresh();
    *world.log.failures.lock().unwrap() = u32::MAX;
    let attempt = world.script("lines", "i=0; while test $i -lt 500; do echo line $i; i=$((i+1)); done; exit 3");
    for _ in 0..2 {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(async {
            let engine = world.reopen();
            engine.adopt().await.unwrap();
            engine.launch(attempt.clone()).await.unwrap();
            let before = *world.log.failures.lock().unwrap();
            let state = engine.watch(&attempt.id).unwrap();
            while *world.log.failures.lock().unwrap() == before {
                let state = state.borrow().clone();
                assert!(!matches!(state, AttemptState::Ended(_)), "{state:?}");
                tokio::task::yield_now().await;
            }
        });
        runtime.shutdown_background();
    }
    *world.log.failures.lock().unwrap() = 1;
    let Ending::Exited { outcome, .. } = next_server(&world, &attempt) else { panic!("it ran") };
    assert_eq!(outcome.code, Some(3));
    let expected: Vec<String> = (0..500).map(|i| format!("line {i}")).collect();
    assert_eq!(world.log.lines("lines"), expected);
}

/// A file system in memory, of a size that can be filled.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    /// `None` where only root may mount one.
    fn new(options: &str) -> Option<Self> {
        if !nix::unistd::geteuid().is_root() {
            eprintln!("skipped: only root can mount a small disk");
            return None;
        }
        let dir = tempfile::tempdir().unwrap();
        mount(Some("tmpfs"), dir.path(), Some("tmpfs"), MsFlags::empty(), Some(options)).unwrap();
        Some(Self(dir))
    }

    fn config(&self) -> EmbeddedConfig {
        EmbeddedConfig { directory: self.0.path().join("engine"), ..config(self.0.path()) }
    }

    fn engine(&self, world: &World, adjust: impl FnOnce(&mut EmbeddedConfig)) -> EmbeddedEngine {
        let mut config = self.config();
        adjust(&mut config);
        EmbeddedEngine::open(config, world.images.clone(), Some(world.log.clone())).unwrap()
    }

    fn fill(&self) -> PathBuf {
        let filler = self.0.path().join("filler");
        let _ = std::io::copy(&mut std::io::repeat(1), &mut std::fs::File::create(&filler).unwrap());
        filler
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = umount2(self.0.path(), MntFlags::MNT_DETACH);
    }
}

#[tokio::test]
async fn a_container_that_fills_the_disk_ends_as_it_does() {
    let world = World::new().await;
    let Some(disk) = SmallDisk::new("size=4m") else { return };
    let engine = disk.engine(&world, |_| {});
    engine.adopt().await.unwrap();
    let script = "head -c 50000000 /dev/zero > /big 2>/dev/null || echo full; echo more; exit 9";
    for id in ["one", "two"] {
        let attempt = world.script(id, script);
        launch_when_there_is_room(&engine, &attempt).await;
        let Ending::Exited { outcome, .. } = ended(&engine, &attempt.id).await else { panic!("it ran") };
        assert_eq!(outcome.code, Some(9));
        engine.forget(&attempt.id).await.unwrap();
    }
}

/// What an attempt wrote leaves the disk a moment after its end is told.
async fn launch_when_there_is_room(engine: &EmbeddedEngine, attempt: &Attempt) {
    tokio::time::timeout(support::PATIENCE, async {
        while let Err(error) = engine.launch(attempt.clone()).await {
            assert!(error.to_string().contains("No space left"), "{error}");
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    })
    .await
    .expect("there is room again");
}

#[tokio::test]
async fn a_full_disk_refuses_launches_and_takes_them_again_once_there_is_room() {
    let world = World::new().await;
    let Some(disk) = SmallDisk::new("size=2m") else { return };
    let engine = disk.engine(&world, |_| {});
    engine.adopt().await.unwrap();
    let filler = disk.fill();
    let attempt = world.script("full", "exit 2");
    let refusal = engine.launch(attempt.clone()).await.unwrap_err().to_string();
    assert!(refusal.contains("No space left"), "{refusal}");
    std::fs::remove_file(filler).unwrap();
    engine.launch(attempt.clone()).await.unwrap();
    let Ending::Exited { outcome, .. } = ended(&engine, &attempt.id).await else { panic!("it runs") };
    assert_eq!(outcome.code, Some(2));
}

#[tokio::test]
async fn a_disk_that_fills_before_the_container_is_made_ends_the_attempt_with_a_reason() {
    let world = World::new().await;
    let Some(disk) = SmallDisk::new("size=2m,nr_inodes=40") else { return };
    // No more files: neither layers of its own nor output can be made.
    let shim = env!("CARGO_BIN_EXE_barge-engine-shim");
    let script = format!("i=0; while true > $0/f$i; do i=$((i+1)); done 2>/dev/null; exec {shim} $0");
    let engine = disk.engine(&world, |config| config.shim = script_shim(&script));
    engine.adopt().await.unwrap();
    let attempt = world.script("inodes", "true");
    engine.launch(attempt.clone()).await.unwrap();
    let told = reason(ended(&engine, &attempt.id).await);
    assert!(told.contains("No space left"), "{told}");
    engine.forget(&attempt.id).await.unwrap();
}

#[tokio::test]
async fn a_stop_is_heard_on_a_full_disk() {
    let world = World::new().await;
    let Some(disk) = SmallDisk::new("size=2m") else { return };
    let engine = disk.engine(&world, |_| {});
    engine.adopt().await.unwrap();
    let attempt = world.script("deaf", "trap 'exit 4' TERM; echo ready; while true; do sleep 0.01; done");
    engine.launch(attempt.clone()).await.unwrap();
    running(&engine, &attempt.id).await;
    while world.log.lines("deaf").is_empty() {
        tokio::task::yield_now().await;
    }
    disk.fill();
    engine.stop(&attempt.id, None).await.unwrap();
    let Ending::Exited { outcome, .. } = ended(&engine, &attempt.id).await else { panic!("it ran") };
    assert_eq!((outcome.code, outcome.stopped), (Some(4), true));
}

#[tokio::test]
async fn layers_that_are_gone_are_unpacked_again_and_images_that_are_gone_end_the_attempt() {
    let world = World::new().await;
    assert_eq!(world.output(world.script("first", "echo 1")).await.1, ["1"]);
    let images = world.dir.path().join("images");
    empty(&images.join("layers"));
    assert_eq!(world.output(world.script("second", "echo 2")).await.1, ["2"]);
    std::fs::remove_dir_all(&images).unwrap();
    match world.run(world.script("third", "echo 3")).await {
        Ending::FailedToStart { cause: StartFailure::Image, reason, .. } => {
            assert!(reason.contains("sha256"), "{reason}");
        }
        ending => panic!("{ending:?}"),
    }
}

/// Removes everything two levels down: the layers of each kind of owner.
fn empty(layers: &Path) {
    for kind in std::fs::read_dir(layers).unwrap() {
        for layer in std::fs::read_dir(kind.unwrap().path()).unwrap() {
            std::fs::remove_dir_all(layer.unwrap().path()).unwrap();
        }
    }
}

#[tokio::test]
async fn an_attempt_can_be_launched_again_under_a_name_that_was_forgotten() {
    let world = World::new().await;
    for round in 0..5 {
        let attempt = world.script("again", &format!("exit {round}"));
        let Ending::Exited { outcome, .. } = world.run(attempt.clone()).await else { panic!("it runs") };
        assert_eq!(outcome.code, Some(round));
        world.engine.forget(&attempt.id).await.unwrap();
    }
    assert!(world.engine.adopt().await.unwrap().is_empty());
}
