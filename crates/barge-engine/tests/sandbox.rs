//! Sandboxes for functions: the host's own programs, read-only, and little else.

mod support;

use barge_engine::{
    Access, Attempt, AttemptId, AttemptState, Capabilities, ComputeEngine, Ending, Lifetime, Mount, OutputTo, RootFs,
};
use std::time::Duration;
use support::{World, ended, until};

fn sandbox(id: &str, script: &str, binds: Vec<Mount>) -> Attempt {
    Attempt {
        command: Some(["/bin/sh", "-c", script].map(str::to_owned).to_vec()),
        user: Some("993:990".to_owned()),
        root_access: Access::ReadOnly,
        capabilities: Capabilities::None,
        memory_mib: 128,
        output: OutputTo::Reader,
        lifetime: Lifetime::WithServer,
        ..Attempt::new(AttemptId::new(id).unwrap(), RootFs::HostReadOnly { binds, tmp_mib: 1 })
    }
}

async fn lines(world: &World, attempt: Attempt) -> Vec<String> {
    let id = attempt.id.clone();
    world.engine.launch(attempt).await.unwrap();
    let mut reader = world.engine.output(&id, 0).await.unwrap();
    let mut lines = Vec::new();
    while let Some(batch) = reader.next().await.unwrap() {
        lines.extend(batch.lines.into_iter().map(|line| line.message));
    }
    if let Ending::FailedToStart { reason, .. } = ended(&world.engine, &id).await {
        panic!("{reason}");
    }
    lines
}

#[tokio::test]
async fn a_sandbox_sees_the_hosts_programs_and_its_code_and_cannot_change_them() {
    let world = World::new().await;
    let code = tempfile::tempdir().unwrap();
    std::fs::write(code.path().join("handler"), "code").unwrap();
    std::fs::set_permissions(code.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let script = "id -u; cat /var/task/handler; echo; \
        for f in /usr/x /etc/x /x /var/task/x /bin/x; do (echo x > $f) 2>/dev/null && echo wrote $f; done; \
        for d in /root /home /work /run /etc/shadow /boot /srv; do test -e $d && echo sees $d; done; \
        echo t > /tmp/t && cat /tmp/t; \
        while read k v; do test $k = CapEff: && echo $v; done < /proc/self/status; \
        head -c 3000000 /dev/zero > /tmp/big 2>/dev/null || echo full";
    let attempt = sandbox("s", script, vec![Mount::read_only(code.path(), "/var/task")]);
    assert_eq!(lines(&world, attempt).await, ["993", "code", "t", "0000000000000000", "full"]);
}

#[tokio::test]
async fn lines_come_while_the_sandbox_runs() {
    let world = World::new().await;
    let attempt = sandbox("f", "echo one; sleep 1000", Vec::new());
    let id = attempt.id.clone();
    world.engine.launch(attempt).await.unwrap();
    let mut reader = world.engine.output(&id, 0).await.unwrap();
    let batch = reader.next().await.unwrap().unwrap();
    assert_eq!(batch.lines[0].message, "one");
    world.engine.stop(&id, Some(Duration::ZERO)).await.unwrap();
    assert!(reader.next().await.unwrap().is_none());
    let state = until(&world.engine, &id, |state| matches!(state, AttemptState::Ended(_))).await;
    let AttemptState::Ended(Ending::Exited { outcome, .. }) = state else { panic!("{state:?}") };
    assert_eq!(outcome.signal, Some(9));
}

#[tokio::test]
async fn the_hosts_python_runs_where_there_is_one() {
    let python = std::path::Path::new("/usr/bin/python3");
    if !python.exists() {
        eprintln!("skipped: no /usr/bin/python3");
        return;
    }
    let world = World::new().await;
    let attempt = sandbox("py", "exec /usr/bin/python3 -c 'import json, ssl; print(json.dumps([1]))'", Vec::new());
    assert_eq!(lines(&world, attempt).await, ["[1]"]);
}
