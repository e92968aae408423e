//! What this machine offers to the embedded engine, and what to do about what it does not.

use crate::cgroup::{Controller, Layout};
use crate::embedded::ShimCommand;
use crate::engine::{Capacity, Finding, Health};
use crate::plan::{Privilege, Surroundings};
use std::fs;
use std::path::Path;
use std::process::Command;

/// What lets ordinary users run containers, said wherever that fails.
pub(crate) const USER_NAMESPACE_ADVICE: &str = "unprivileged user namespaces are needed to run containers as an ordinary \
    user: as root, `sysctl -w user.max_user_namespaces=65536`, on Debian `sysctl -w kernel.unprivileged_userns_clone=1`, on \
    Ubuntu `sysctl -w kernel.apparmor_restrict_unprivileged_userns=0`; inside another container, allow it to make \
    namespaces and mounts, or run Barge as root";

/// The argument that makes a shim try what it needs, and say what fails.
pub(crate) const PROBE: &str = "--probe";

/// Whether this process's user namespace is not the machine's own.
pub(crate) fn in_user_namespace() -> bool {
    // The machine's own maps every id to itself (user_namespaces(7)).
    fs::read_to_string("/proc/self/uid_map").is_ok_and(|map| !map.contains("4294967295"))
}

/// The machine's processors and memory.
pub(crate) fn capacity() -> Capacity {
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    let kib = fs::read_to_string("/proc/meminfo")
        .ok()
        .and_then(|text| {
            text.lines().find_map(|line| line.strip_prefix("MemTotal:")?.trim().split(' ').next()?.parse().ok())
        })
        .unwrap_or(0_u64);
    Capacity { vcpu: f64::from(u32::try_from(processors).unwrap_or(u32::MAX)), memory_mib: kib / 1024 }
}

/// Looks at everything that attempts need.
pub(crate) fn examine(around: &Surroundings, shim: &ShimCommand, directory: &Path) -> Vec<Finding> {
    let mut findings = vec![privilege(around.privilege), containers(shim, directory)];
    findings.extend(Controller::ALL.into_iter().map(|controller| limit(&around.cgroups, controller)));
    findings
}

fn finding(subject: &str, health: Health, detail: impl Into<String>) -> Finding {
    Finding { subject: subject.to_owned(), health, detail: detail.into() }
}

fn privilege(privilege: Privilege) -> Finding {
    match privilege {
        Privilege::Root => finding("user", Health::Good, "root: images' users and file owners are kept"),
        Privilege::Rootless { uid, .. } => finding(
            "user",
            Health::Reduced,
            format!("ordinary user {uid}: each container has one user, which is this one; files have no other owner"),
        ),
    }
}

fn containers(shim: &ShimCommand, directory: &Path) -> Finding {
    let subject = "containers";
    let tried = Command::new(&shim.program).args(&shim.args).arg(PROBE).current_dir(directory).output();
    match tried {
        Ok(output) if output.status.success() => {
            finding(subject, Health::Good, "namespaces and overlay file systems can be made")
        }
        Ok(output) => finding(subject, Health::Missing, String::from_utf8_lossy(&output.stderr).trim()),
        Err(error) => finding(subject, Health::Missing, format!("{}: {error}", shim.program.display())),
    }
}

fn limit(layout: &Layout, controller: Controller) -> Finding {
    let subject = match controller {
        Controller::Memory => "memory limits",
        Controller::Cpu => "vCPU limits",
        Controller::Pids => "process limits",
    };
    if layout.controllers().contains(&controller) {
        let version = if matches!(layout, Layout::V1 { .. }) { "cgroup v1" } else { "cgroup v2" };
        return finding(subject, Health::Good, format!("enforced with {version}"));
    }
    let why = match layout {
        Layout::Nowhere { reason } => reason.clone(),
        _ => format!("the {} controller cannot be used here", controller.name()),
    };
    finding(
        subject,
        Health::Reduced,
        format!(
            "not enforced ({why}); as an ordinary user, start the server with `systemd-run --user --scope -p Delegate=yes`"
        ),
    )
}
