//! Real containers: what they see, how they end, and what is told of it.

mod support;

use barge_engine::{
    Access, AttemptId, AttemptState, ComputeEngine, Ending, EventKind, Health, Mount, RootFs, StartFailure,
};
use std::time::Duration;
use support::{World, ended, kind, next, running};

#[tokio::test]
async fn a_command_runs_and_its_lines_are_stored_in_order() {
    let world = World::new().await;
    let mut events = world.engine.subscribe();
    let (outcome, lines) =
        world.output(world.script("a", "echo one; echo two >&2; echo three; printf four; exit 7")).await;
    assert_eq!((outcome.code, outcome.signal, outcome.oom, outcome.stopped), (Some(7), None, false, false));
    assert_eq!(lines, ["one", "two", "three", "four"]);
    assert_eq!(kind(&next(&mut events).await), "started");
    assert_eq!(kind(&next(&mut events).await), "exited");
    let id = AttemptId::new("a").unwrap();
    world.engine.forget(&id).await.unwrap();
    assert!(world.engine.watch(&id).is_err());
    world.engine.forget(&id).await.unwrap();
}

#[tokio::test]
async fn a_container_has_its_own_world() {
    let world = World::new().await;
    let attempt = barge_engine::Attempt {
        env: vec![("MINE".to_owned(), "a b".to_owned())],
        user: Some("app".to_owned()),
        workdir: Some("/tmp".to_owned()),
        hostname: Some("box".to_owned()),
        ..world.script(
            "own",
            "id -u; id -g; id -G; pwd; hostname; echo $MINE $FROM_IMAGE $$; echo x > /tmp/x && cat /tmp/x; echo * | head -c 0",
        )
    };
    let (outcome, lines) = world.output(attempt).await;
    assert_eq!(outcome.code, Some(0), "{lines:?}");
    assert_eq!(lines, ["1234", "2345", "2345 77", "/tmp", "box", "a b yes 1", "x"]);
}

#[tokio::test]
async fn privileges_are_dockers() {
    let world = World::new().await;
    let script = "while read k v; do case $k in CapEff:|CapBnd:|NoNewPrivs:) echo $k $v;; esac; done < /proc/self/status; \
        echo 1 > /proc/sys/kernel/panic || echo sealed; ls /proc/acpi /sys/firmware 2>/dev/null | head -c 300; \
        for d in null zero random urandom full tty; do test -c /dev/$d || echo no $d; done; test -e /dev/mem && echo mem";
    let (_, lines) = world.output(world.script("caps", script)).await;
    let lines: Vec<&str> =
        lines.iter().map(String::as_str).filter(|l| !l.contains("sysrq") && !l.starts_with('/')).collect();
    let dockers_without_mknod = "00000000a00425fb".parse_hex() & !(1 << 27);
    assert!(lines.contains(&format!("CapEff: {dockers_without_mknod:016x}").as_str()), "{lines:?}");
    assert!(lines.contains(&format!("CapBnd: {dockers_without_mknod:016x}").as_str()), "{lines:?}");
    assert!(lines.contains(&"NoNewPrivs: 1"), "{lines:?}");
    assert!(lines.contains(&"sealed"), "{lines:?}");
    assert!(!lines.iter().any(|line| line.starts_with("no ") || *line == "mem"), "{lines:?}");
}

trait ParseHex {
    fn parse_hex(&self) -> u64;
}

impl ParseHex for str {
    fn parse_hex(&self) -> u64 {
        u64::from_str_radix(self, 16).unwrap()
    }
}

#[tokio::test]
async fn what_cannot_start_says_why() {
    let world = World::new().await;
    let missing = format!("sha256:{}", "0".repeat(64));
    let no_image =
        barge_engine::Attempt { root: RootFs::Image { digest: missing.clone() }, ..world.script("image", "") };
    let no_program =
        barge_engine::Attempt { command: Some(vec!["/no/such".to_owned()]), ..world.script("program", "") };
    let no_user = barge_engine::Attempt { user: Some("nemo".to_owned()), ..world.script("user", "") };
    for (attempt, step, words) in [
        (no_image, StartFailure::Image, missing.as_str()),
        (no_program, StartFailure::Container, "no such file or directory"),
        (no_user, StartFailure::Container, "unable to find user nemo"),
    ] {
        match world.run(attempt).await {
            Ending::FailedToStart { cause, reason, .. } => {
                assert_eq!(cause, step);
                assert!(reason.contains(words), "{reason}");
            }
            ending @ Ending::Exited { .. } => panic!("{ending:?}"),
        }
    }
}

#[tokio::test]
async fn the_same_id_runs_once() {
    let world = World::new().await;
    let shared = tempfile::tempdir().unwrap();
    let attempt = barge_engine::Attempt {
        mounts: vec![Mount { source: shared.path().to_owned(), target: "/shared".into(), access: Access::ReadWrite }],
        ..world.script("once", "echo ran >> /shared/runs")
    };
    for _ in 0..3 {
        world.engine.launch(attempt.clone()).await.unwrap();
    }
    ended(&world.engine, &attempt.id).await;
    let mut events = world.engine.subscribe();
    world.engine.launch(attempt).await.unwrap();
    assert!(matches!(next(&mut events).await.kind, EventKind::Ended(_)));
    assert_eq!(std::fs::read_to_string(shared.path().join("runs")).unwrap(), "ran\n");
}

#[tokio::test]
async fn a_stop_asks_first_and_then_kills() {
    let world = World::new().await;
    let polite = world.script("polite", "trap 'echo bye; exit 3' TERM; echo ready; while true; do sleep 0.01; done");
    let stubborn = world.script("stubborn", "echo ready; while true; do sleep 1; done");
    for (attempt, grace, code, last) in [(polite, 60_000, 3, "bye"), (stubborn, 50, 137, "ready")] {
        let id = attempt.id.clone();
        world.engine.launch(attempt).await.unwrap();
        running(&world.engine, &id).await;
        while world.log.lines(id.as_str()).is_empty() {
            tokio::task::yield_now().await;
        }
        world.engine.stop(&id, Some(Duration::from_millis(grace))).await.unwrap();
        let Ending::Exited { outcome, .. } = ended(&world.engine, &id).await else { panic!("it ran") };
        assert_eq!((outcome.code, outcome.stopped), (Some(code), true), "{id}");
        assert_eq!(world.log.lines(id.as_str()).last().unwrap(), last);
        world.engine.stop(&id, None).await.unwrap();
    }
}

#[tokio::test]
async fn a_running_container_has_its_group_and_an_ended_one_has_none() {
    let world = World::new().await;
    let limited = world.engine.doctor().await.iter().any(|f| f.subject == "memory limits" && f.health == Health::Good);
    // What a run that was killed left behind has another number.
    let name = format!("grouped.{}", std::process::id());
    let attempt = world.script(&name, "exec sleep 1000");
    let id = attempt.id.clone();
    world.engine.launch(attempt).await.unwrap();
    running(&world.engine, &id).await;
    let groups = || support::groups(&format!("{name}-"));
    assert_eq!(!groups().is_empty(), limited);
    for group in groups() {
        let members = std::fs::read_to_string(group.join("cgroup.procs")).unwrap();
        assert_eq!(members.lines().count(), 1, "{}", group.display());
    }
    world.engine.stop(&id, Some(Duration::ZERO)).await.unwrap();
    ended(&world.engine, &id).await;
    assert!(groups().is_empty());
}

#[tokio::test]
async fn memory_is_limited_and_its_want_is_recognised() {
    let world = World::new().await;
    let findings = world.engine.doctor().await;
    if !findings.iter().any(|f| f.subject == "memory limits" && f.health == Health::Good) {
        eprintln!("skipped: no memory controller can be used here: {findings:?}");
        return;
    }
    let hog =
        barge_engine::Attempt { memory_mib: 16, ..world.script("hog", "exec head -c 50000000 /dev/zero > /dev/shm/x") };
    let (outcome, _) = world.output(hog).await;
    assert_eq!((outcome.code, outcome.oom), (Some(137), true));
    assert_eq!(outcome.reason.as_deref(), Some("OutOfMemoryError: Container killed due to memory usage"));
    let fits =
        barge_engine::Attempt { memory_mib: 64, ..world.script("fits", "head -c 5000000 /dev/zero > /dev/shm/x") };
    assert!(!world.output(fits).await.0.oom);
}

#[tokio::test]
async fn a_read_only_root_stays_as_it_is() {
    let world = World::new().await;
    let attempt = barge_engine::Attempt {
        root_access: Access::ReadOnly,
        ..world.script("ro", "echo x > /file || echo refused; echo y > /dev/shm/y && echo shm")
    };
    let (_, lines) = world.output(attempt).await;
    assert_eq!(&lines[1..], ["refused", "shm"], "{lines:?}");
}

#[tokio::test]
async fn what_a_container_writes_is_gone_with_it() {
    let world = World::new().await;
    assert_eq!(world.output(world.script("w1", "echo x > /file; ls /file")).await.1, ["/file"]);
    assert_eq!(world.output(world.script("w2", "ls /file 2>/dev/null || echo none")).await.1, ["none"]);
}

#[tokio::test]
async fn a_log_that_fails_for_a_while_loses_nothing() {
    let world = World::new().await;
    *world.log.failures.lock().unwrap() = 2;
    let (_, lines) = world.output(world.script("slow", "for i in 1 2 3 4 5; do echo $i; done")).await;
    assert_eq!(lines, ["1", "2", "3", "4", "5"]);
}

#[tokio::test]
async fn a_flood_of_output_leaves_a_gap_and_not_a_full_disk() {
    let world = World::with(|config| config.output_limit = 1 << 20).await;
    *world.log.failures.lock().unwrap() = 3;
    // 32 MiB of 64-byte lines against a log that does not take any at first.
    let line = "x".repeat(63);
    let script = format!("yes() {{ while true; do echo {line}; done; }}; yes | head -c 33554432");
    let (outcome, lines) = world.output(world.script("flood", &script)).await;
    assert_eq!(outcome.code, Some(0));
    let told: usize =
        lines.iter().filter_map(|line| line.strip_prefix("[barge: ")?.split(' ').next()?.parse::<usize>().ok()).sum();
    let kept = lines.iter().filter(|l| l.starts_with('x')).count();
    assert_eq!(kept + told, 33_554_432 / 64);
}

#[tokio::test]
async fn an_attempts_state_can_be_watched() {
    let world = World::new().await;
    let attempt = world.script("watched", "sleep 0.05");
    let id = attempt.id.clone();
    assert!(world.engine.watch(&id).is_err());
    world.engine.launch(attempt).await.unwrap();
    assert!(world.engine.forget(&id).await.is_err());
    running(&world.engine, &id).await;
    ended(&world.engine, &id).await;
    assert!(matches!(*world.engine.watch(&id).unwrap().borrow(), AttemptState::Ended(_)));
}

#[tokio::test]
async fn what_is_stopped_before_it_starts_never_runs() {
    let world = World::new().await;
    let shared = tempfile::tempdir().unwrap();
    for round in 0..10 {
        let attempt = barge_engine::Attempt {
            mounts: vec![Mount {
                source: shared.path().to_owned(),
                target: "/shared".into(),
                access: Access::ReadWrite,
            }],
            ..world.script(&format!("s{round}"), "sleep 1000")
        };
        let id = attempt.id.clone();
        world.engine.launch(attempt).await.unwrap();
        world.engine.stop(&id, Some(Duration::ZERO)).await.unwrap();
        match ended(&world.engine, &id).await {
            Ending::FailedToStart { cause, .. } => assert_eq!(cause, StartFailure::Stopped),
            Ending::Exited { outcome, .. } => assert!(outcome.stopped && outcome.signal == Some(9), "{outcome:?}"),
        }
        assert!(world.engine.images_in_use().is_empty());
    }
}

#[tokio::test]
async fn the_doctor_looks_at_everything() {
    let world = World::new().await;
    let findings = world.engine.doctor().await;
    let subjects: Vec<&str> = findings.iter().map(|f| f.subject.as_str()).collect();
    assert_eq!(subjects, ["user", "containers", "memory limits", "vCPU limits", "process limits"]);
    assert!(world.engine.capacity().vcpu >= 1.0 && world.engine.capacity().memory_mib > 0);
}

#[tokio::test]
async fn an_image_may_have_as_many_layers_as_dockers() {
    let world = World::new().await;
    let base = world.images.manifest(&world.image.parse().unwrap()).unwrap();
    let mut blobs = barge_image::references(&base).unwrap();
    let tools = blobs.remove(1);
    let mut layers = vec![(tools.digest, tools.size)];
    for i in 0..126 {
        let mut tar = tar::Builder::new(Vec::new());
        let mut header = tar::Header::new_gnu();
        header.set_size(0);
        header.set_mode(0o644);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(0);
        tar.append_data(&mut header, format!("layer-{i}"), std::io::empty()).unwrap();
        let tar = tar.into_inner().unwrap();
        layers.push((world.images.put_blob(&tar).unwrap(), tar.len() as u64));
    }
    let diff_ids: Vec<String> = layers.iter().map(|(digest, _)| format!("{:?}", digest.as_str())).collect();
    let config = format!(
        r#"{{"architecture":"amd64","os":"linux","rootfs":{{"type":"layers","diff_ids":[{}]}}}}"#,
        diff_ids.join(",")
    );
    let digest = world.images.put_blob(config.as_bytes()).unwrap();
    let descriptor = |kind: &str, digest: &barge_image::Digest, size: u64| {
        format!(r#"{{"mediaType":"application/vnd.oci.image.{kind}","digest":"{digest}","size":{size}}}"#)
    };
    let listed: Vec<String> = layers.iter().map(|(digest, size)| descriptor("layer.v1.tar", digest, *size)).collect();
    let manifest = format!(
        r#"{{"schemaVersion":2,"config":{},"layers":[{}]}}"#,
        descriptor("config.v1+json", &digest, config.len() as u64),
        listed.join(",")
    );
    let image = world.images.put_manifest(manifest.as_bytes()).unwrap();
    let attempt = barge_engine::Attempt {
        root: RootFs::Image { digest: image.to_string() },
        ..world.script("deep", "set -- /layer-*; echo $#")
    };
    assert_eq!(world.output(attempt).await.1, ["126"]);
}
