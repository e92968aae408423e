//! The engine as an ordinary user: the tests of this file run the real one in a process of user `nobody` where they are
//! started by root.

mod support;

use barge_engine::{Attempt, ComputeEngine, Ending, Health};
use std::os::unix::process::CommandExt;
use std::process::Command;
use support::World;

const NOBODY: u32 = 65_534;

/// Runs the ignored test `name` of this program as an ordinary user.
fn as_ordinary_user(name: &str) {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", name, "--ignored", "--nocapture"]).current_dir("/tmp").env("TMPDIR", "/tmp");
    if nix::unistd::geteuid().is_root() {
        command.uid(NOBODY).gid(NOBODY);
    }
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    eprintln!("{said}");
}

#[test]
fn containers_run_without_root() {
    as_ordinary_user("ordinary_user_runs_containers");
}

#[tokio::test]
#[ignore = "run by containers_run_without_root"]
async fn ordinary_user_runs_containers() {
    let world = World::new().await;
    let findings = world.engine.doctor().await;
    let containers = findings.iter().find(|f| f.subject == "containers").unwrap();
    if containers.health == Health::Missing {
        eprintln!("skipped: {}", containers.detail);
        return;
    }
    let (outcome, lines) = world
        .output(world.script("r", "id -u; echo x > /tmp/x; cat /tmp/x; echo $$; test -w / && echo writable; exit 6"))
        .await;
    assert_eq!((outcome.code, lines), (Some(6), ["0", "x", "1", "writable"].map(str::to_owned).to_vec()));
    let app =
        Attempt { user: Some("app".to_owned()), ..world.script("u", "id -u; id -g; echo y > /tmp/y && cat /tmp/y") };
    assert_eq!(world.output(app).await.1, ["1234", "2345", "y"]);
    let gone = world.run(Attempt { command: Some(vec!["/no".to_owned()]), ..world.script("n", "") }).await;
    assert!(matches!(gone, Ending::FailedToStart { .. }), "{gone:?}");
    let endless = world.script("e", "sleep 1000");
    let id = endless.id.clone();
    world.engine.launch(endless).await.unwrap();
    support::running(&world.engine, &id).await;
    world.engine.stop(&id, Some(std::time::Duration::ZERO)).await.unwrap();
    let ending = support::ended(&world.engine, &id).await;
    assert!(matches!(&ending, Ending::Exited { outcome, .. } if outcome.signal == Some(9)), "{ending:?}");
    for id in ["r", "u", "n", "e"] {
        world.engine.forget(&barge_engine::AttemptId::new(id).unwrap()).await.unwrap();
    }
}
