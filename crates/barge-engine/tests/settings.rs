//! What an attempt may ask of its container beyond command and limits, with real containers.

mod support;

use barge_engine::{
    Access, Attempt, AttemptId, ComputeEngine, Ending, InitProcess, Mount, RootFs, Scratch, StartFailure, Tmpfs, Ulimit,
};
use std::path::Path;
use std::time::Duration;
use support::{World, ended, running};

fn owned(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

async fn refused(world: &World, attempt: Attempt) -> String {
    match world.run(attempt).await {
        Ending::FailedToStart { cause: StartFailure::Container, reason, .. } => reason,
        ending => panic!("{ending:?}"),
    }
}

/// Whether this process has CAP_SYS_RESOURCE.
fn may_raise_limits() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let rights = status.lines().find_map(|line| line.strip_prefix("CapEff:")).unwrap().trim();
    u64::from_str_radix(rights, 16).unwrap() & (1 << 24) != 0
}

#[tokio::test]
async fn ulimits_hold_for_the_command_whatever_the_container_needed_to_start() {
    let world = World::new().await;
    let limit = |name, soft, hard| Ulimit::new(name, soft, hard).unwrap();
    let ulimits =
        vec![limit("nofile", 6, 9), limit("core", 0, -1), limit("nproc", 50, 60), limit("stack", 1 << 20, -1)];
    for init in [InitProcess::Command, InitProcess::Reaper] {
        let script = "ulimit -Sn; ulimit -Hn; ulimit -Sc; ulimit -Hc; ulimit -p; ulimit -Hp; ulimit -s";
        let id = format!("u-{init:?}");
        let attempt = Attempt { ulimits: ulimits.clone(), init, ..world.script(&id, script) };
        assert_eq!(world.output(attempt).await.1, ["6", "9", "0", "unlimited", "50", "60", "1024"]);
    }
    let app = Attempt {
        ulimits: vec![limit("nofile", 4_000, 500_000)],
        user: Some("app".to_owned()),
        ..world.script("raised", "ulimit -Sn; ulimit -Hn")
    };
    if may_raise_limits() {
        assert_eq!(world.output(app).await.1, ["4000", "500000"]);
    } else {
        assert_eq!(refused(&world, app).await, "ulimit nofile 4000:500000: operation not permitted");
    }
    let beyond = Attempt { ulimits: vec![limit("nofile", -1, -1)], ..world.script("beyond", "") };
    assert_eq!(refused(&world, beyond).await, "ulimit nofile unlimited:unlimited: operation not permitted");
}

#[tokio::test]
async fn tmpfs_and_shared_memory_are_as_large_as_asked_for() {
    let world = World::new().await;
    let script = "while read dev at kind how rest; do case $at in /t|/t/ro|/dev/shm) echo $at $kind $how;; esac; done < /proc/mounts; \
        echo x > /t/x && cat /t/x; head -c 3000000 /dev/zero > /t/big 2>/dev/null || echo full; \
        echo x 2>/dev/null > /t/ro/x || echo read-only; \
        head -c 9000000 /dev/zero > /dev/shm/big && echo fits; ls -ld /t | head -c 10";
    let tmpfs = vec![
        Tmpfs { target: "/t/ro".into(), size_mib: 1, options: owned(&["ro", "mode=0700"]) },
        Tmpfs { target: "/t".into(), size_mib: 2, options: owned(&["exec", "noatime"]) },
    ];
    let attempt = Attempt { tmpfs, shm_mib: Some(9), ..world.script("tmpfs", script) };
    let (_, lines) = world.output(attempt).await;
    let option = |line: usize, option: &str| lines[line].split([' ', ',']).any(|word| word == option);
    assert!(lines[0].starts_with("/dev/shm tmpfs") && option(0, "size=9216k"), "{lines:?}");
    assert!(lines[1].starts_with("/t tmpfs") && option(1, "size=2048k"), "{lines:?}");
    assert!(option(1, "noatime") && option(1, "nosuid") && !option(1, "noexec"), "{lines:?}");
    assert!(lines[2].starts_with("/t/ro tmpfs") && option(2, "ro") && option(2, "mode=700"), "{lines:?}");
    assert_eq!(lines[3..], ["x", "full", "read-only", "fits", "drwxrwxrwt"]);
}

#[tokio::test]
async fn an_init_process_reaps_hands_signals_on_and_ends_as_its_command_does() {
    let world = World::new().await;
    let init = |id: &str, script: &str| Attempt { init: InitProcess::Reaper, ..world.script(id, script) };
    // The orphan's parent is the first process once its own is gone; its end leaves no zombie.
    let script = "echo $$; cat /proc/1/comm; (sleep 0.01 &); i=0; while test $i -lt 200; do i=$((i+1)); found=; \
        for s in /proc/[0-9]*/stat; do read line < $s 2>/dev/null && case $line in *'(sleep)'*) found=$line;; esac; done; \
        test -z \"$found\" && break; sleep 0.01; done; echo left: $found; exit 6";
    let (outcome, lines) = world.output(init("reaps", script)).await;
    assert_eq!((outcome.code, lines), (Some(6), owned(&["2", "init", "left:"])));
    let hidden = "ls /proc/1/fd /proc/1/exe /proc/1/cwd > /dev/null 2>&1 && echo open; cat /proc/1/environ 2>/dev/null; echo seen";
    assert_eq!(world.output(init("hidden", hidden)).await.1, ["seen"]);
    assert_eq!(world.output(init("killed", "kill -9 $$")).await.0.code, Some(137));
    let gone = Attempt { command: Some(owned(&["/no/such"])), ..init("gone", "") };
    assert!(refused(&world, gone).await.contains("no such file or directory"));

    let polite = init("polite", "trap 'echo bye; exit 3' TERM; echo ready; while true; do sleep 0.01; done");
    let id = polite.id.clone();
    world.engine.launch(polite).await.unwrap();
    running(&world.engine, &id).await;
    while world.log.lines("polite").is_empty() {
        tokio::task::yield_now().await;
    }
    world.engine.stop(&id, Some(Duration::from_mins(1))).await.unwrap();
    let Ending::Exited { outcome, .. } = ended(&world.engine, &id).await else { panic!("it ran") };
    assert_eq!((outcome.code, outcome.stopped), (Some(3), true));
    assert_eq!(world.log.lines("polite"), ["ready", "bye"]);
    // A command without a handler ends by the signal: it is not the first process.
    let plain = init("plain", "exec sleep 1000");
    let id = plain.id.clone();
    world.engine.launch(plain).await.unwrap();
    running(&world.engine, &id).await;
    world.engine.stop(&id, Some(Duration::from_mins(10))).await.unwrap();
    let Ending::Exited { outcome, .. } = ended(&world.engine, &id).await else { panic!("it ran") };
    assert_eq!(outcome.code, Some(143));
}

#[tokio::test]
async fn scratch_volumes_are_shared_within_a_task_and_gone_with_it() {
    let world = World::new().await;
    let task = |id: &str| AttemptId::new(id).unwrap();
    let sharing = |id: &str, of: &str, access, script: &str| Attempt {
        scratch: vec![Scratch { task: task(of), volume: "data.1".to_owned(), target: "/data".into(), access }],
        ..world.script(id, script)
    };
    let one = sharing("one", "t.1-1", Access::ReadWrite, "ls -ld /data | head -c 10; echo; echo hello > /data/x");
    assert_eq!(world.output(one).await.1, ["drwxr-xr-x"]);
    let two = sharing("two", "t.1-1", Access::ReadOnly, "cat /data/x; echo x 2>/dev/null > /data/y || echo refused");
    assert_eq!(world.output(two).await.1, ["hello", "refused"]);
    let stranger = sharing("stranger", "t.1-2", Access::ReadWrite, "ls /data");
    assert!(world.output(stranger).await.1.is_empty());
    assert_eq!(world.engine.scratch_tasks().await.unwrap(), [task("t.1-1"), task("t.1-2")]);
    for _ in 0..2 {
        world.engine.remove_scratch(&task("t.1-1")).await.unwrap();
        assert_eq!(world.engine.scratch_tasks().await.unwrap(), [task("t.1-2")]);
    }
    let anew = sharing("anew", "t.1-1", Access::ReadWrite, "ls /data");
    assert!(world.output(anew).await.1.is_empty());
}

#[tokio::test]
async fn what_is_written_to_the_root_is_limited() {
    let world = World::new().await;
    let greedy =
        Attempt { disk_mib: 2, ..world.script("greedy", "head -c 8000000 /dev/zero > /big; echo written; sleep 1000") };
    let (outcome, lines) = world.output(greedy).await;
    assert_eq!((outcome.code, outcome.oom, lines), (Some(137), false, owned(&["written"])));
    let reason = outcome.reason.unwrap();
    assert!(reason.starts_with("ephemeral storage limit exceeded: 8 MiB"), "{reason}");
    let modest = Attempt { disk_mib: 2, ..world.script("modest", "head -c 100000 /dev/zero > /small") };
    assert_eq!(world.output(modest).await.0.code, Some(0));
    let huge = Attempt { disk_mib: 1 << 40, ..world.script("huge", "") };
    assert!(refused(&world, huge).await.contains("MiB of ephemeral storage are asked for"));
}

#[tokio::test]
async fn what_cannot_be_mounted_is_named() {
    let world = World::new().await;
    let missing = Attempt { mounts: vec![Mount::read_only("/no/such/place", "/x")], ..world.script("missing", "") };
    assert_eq!(refused(&world, missing).await, "bind source path does not exist: /no/such/place");
    let tmpfs = vec![Tmpfs { target: "/t".into(), size_mib: 1, options: owned(&["remount"]) }];
    let option = Attempt { tmpfs, ..world.script("option", "") };
    assert_eq!(refused(&world, option).await, "tmpfs /t: invalid option \"remount\"");
}

#[tokio::test]
async fn system_calls_that_reach_out_are_refused() {
    let world = World::new().await;
    let script = "while read k v; do test $k = Seccomp: && echo $v; done < /proc/self/status; \
        for kind in user mount net pid; do unshare --$kind true 2>&1 || echo no $kind; done; (echo threads) | cat";
    let (outcome, lines) = world.output(world.script("calls", script)).await;
    assert_eq!(outcome.code, Some(0));
    assert_eq!(lines[0], "2");
    for kind in ["user", "mount", "net", "pid"] {
        assert!(lines.contains(&format!("no {kind}")), "{lines:?}");
    }
    assert_eq!(lines.last().unwrap(), "threads");
}

/// An image with links at the places that are mounted over.
fn linked(world: &World, links: &[(&str, &str)]) -> RootFs {
    let tree = tempfile::tempdir().unwrap();
    let mut contents = support::tools();
    for (place, to) in links {
        let place = tree.path().join(place.trim_start_matches('/'));
        std::fs::create_dir_all(place.parent().unwrap()).unwrap();
        std::os::unix::fs::symlink(to, place).unwrap();
    }
    contents.add_tree(tree.path(), Path::new("/")).unwrap();
    RootFs::Image { digest: support::image(&world.images, &contents) }
}

#[tokio::test]
async fn links_of_the_image_where_files_of_the_host_belong_lead_nowhere() {
    let world = World::new().await;
    let outside = tempfile::tempdir().unwrap();
    let victim = outside.path().join("victim");
    std::fs::write(&victim, "untouched").unwrap();
    let host = std::fs::read_to_string("/etc/hosts").unwrap();
    let first = host.lines().next().unwrap_or_default().to_owned();
    let script =
        "head -n 1 /etc/hosts; test -L /etc/hosts || echo file; test -c /dev/null && test -d /proc/1 && echo built";
    let escape = format!("../../../../../../../../..{}", victim.display());
    let absolute = victim.to_str().unwrap();
    let directory = outside.path().to_str().unwrap();
    for (id, links) in [
        ("dangling", [("/etc/resolv.conf", "/run/systemd/resolve/stub-resolv.conf"), ("/etc/hosts", "nowhere")]),
        ("absolute", [("/etc/resolv.conf", absolute), ("/etc/hosts", absolute)]),
        ("escaping", [("/etc/resolv.conf", escape.as_str()), ("/etc/hosts", escape.as_str())]),
        ("built", [("/dev", directory), ("/proc", directory)]),
        ("loop", [("/etc/hosts", "hosts"), ("/sys", "/sys")]),
    ] {
        let attempt = Attempt { root: linked(&world, &links), ..world.script(id, script) };
        let (outcome, lines) = world.output(attempt).await;
        assert_eq!(
            (outcome.code, lines.as_slice()),
            (Some(0), &[first.clone(), "file".to_owned(), "built".to_owned()][..]),
            "{id}"
        );
    }
    assert_eq!(std::fs::read_to_string(&victim).unwrap(), "untouched");
    assert_eq!(std::fs::read_dir(outside.path()).unwrap().count(), 1);
}

#[tokio::test]
async fn an_image_may_have_its_configuration_elsewhere() {
    let world = World::new().await;
    let tree = tempfile::tempdir().unwrap();
    let mut contents = barge_image::pack::Contents::default();
    for tool in support::TOOLS {
        let tool = Path::new(tool);
        contents.add_file(tool, tool, Some(0o755)).unwrap();
        contents.add_libraries_of(&tool.canonicalize().unwrap()).unwrap();
    }
    std::fs::create_dir(tree.path().join("config")).unwrap();
    std::os::unix::fs::symlink("/config", tree.path().join("etc")).unwrap();
    std::os::unix::fs::symlink("/nowhere/at/all", tree.path().join("config/hosts")).unwrap();
    contents.add_tree(tree.path(), Path::new("/")).unwrap();
    let root = RootFs::Image { digest: support::image(&world.images, &contents) };
    let script = "test -L /etc && test -f /config/hosts && test -s /etc/hosts && echo there";
    assert_eq!(world.output(Attempt { root, ..world.script("elsewhere", script) }).await.1, ["there"]);
}

#[tokio::test]
async fn names_with_dots_are_names() {
    let world = World::new().await;
    let id = "00000000-0000-0000-0000-000000000001";
    for id in [format!("{id}.17-1"), format!("{id}.17-2"), format!("{id}_3-1"), format!("{id}-1.side.car")] {
        assert_eq!(world.output(world.script(&id, "hostname")).await.1, [&id[..id.len().min(63)]]);
        let id = AttemptId::new(id).unwrap();
        world.engine.forget(&id).await.unwrap();
        assert!(!world.folder(&id).exists());
    }
}
