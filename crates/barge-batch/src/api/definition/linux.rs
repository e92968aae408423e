//! `linuxParameters` and `ulimits` (API Reference, "LinuxParameters", "Tmpfs", "Ulimit").
//!
//! Containers here get no swap. So `maxSwap` of 0 is what they have, any other is refused; `swappiness` is without effect, as it is
//! in AWS where there is no swap.

use super::container::Form;
use super::storage::check_path;
use crate::api::{filled, foreign, refuse};
use crate::core::Platform;
use crate::runner::Ulimit as Limit;
use barge_core::AwsError;
use barge_wire::batch::error::client_exception;
use barge_wire::batch::{LinuxParameters, Tmpfs, Ulimit};

/// Mount options that take no value.
const PLAIN_OPTIONS: [&str; 18] = [
    "defaults",
    "ro",
    "rw",
    "suid",
    "nosuid",
    "nodev",
    "exec",
    "noexec",
    "sync",
    "async",
    "dirsync",
    "atime",
    "noatime",
    "diratime",
    "nodiratime",
    "relatime",
    "norelatime",
    "strictatime",
];
/// Mount options with a value.
const OPTIONS: [&str; 4] = ["mode=", "uid=", "gid=", "nr_inodes="];

/// Checks `linuxParameters`.
pub(super) fn check(at: &str, parameters: &LinuxParameters, platform: Platform) -> Result<(), AwsError> {
    let LinuxParameters { devices, init_process_enabled: _, shared_memory_size, tmpfs, max_swap, swappiness } =
        parameters;
    let at = format!("{at}.linuxParameters");
    if platform == Platform::Fargate {
        let not_there = [
            ("devices", filled(devices.as_ref())),
            ("sharedMemorySize", shared_memory_size.is_some()),
            ("tmpfs", filled(tmpfs.as_ref())),
            ("maxSwap", max_swap.is_some()),
            ("swappiness", swappiness.is_some()),
        ];
        if let Some((name, _)) = not_there.iter().find(|(_, present)| *present) {
            return Err(foreign(&format!("{at}.{name}"), platform));
        }
    }
    refuse(&[
        (&format!("{at}.devices"), filled(devices.as_ref())),
        (&format!("{at}.maxSwap of more than 0"), max_swap.is_some_and(|mib| mib != 0)),
    ])?;
    if shared_memory_size.is_some_and(|mib| mib < 1) {
        return Err(client_exception("linuxParameters.sharedMemorySize must be at least 1."));
    }
    if swappiness.is_some_and(|value| !(0..=100).contains(&value)) {
        return Err(client_exception("linuxParameters.swappiness must be between 0 and 100."));
    }
    tmpfs.iter().flatten().try_for_each(check_tmpfs)
}

fn check_tmpfs(tmpfs: &Tmpfs) -> Result<(), AwsError> {
    let Tmpfs { container_path, size, mount_options } = tmpfs;
    check_path("tmpfs.containerPath", container_path)?;
    if *size < 1 {
        return Err(client_exception("tmpfs.size must be at least 1."));
    }
    let known = |option: &str| {
        PLAIN_OPTIONS.contains(&option)
            || option == "nostrictatime"
            || OPTIONS.iter().any(|name| option.starts_with(name))
    };
    match mount_options.iter().flatten().find(|option| !known(option)) {
        Some(option) => refuse(&[(&format!("tmpfs.mountOptions {option}"), true)]),
        None => Ok(()),
    }
}

/// Checks `ulimits`. Fargate has none (API Reference, "Ulimit") but `nofile` of a task's containers ("TaskContainerProperties").
pub(super) fn check_ulimits(
    at: &str,
    ulimits: Option<&Vec<Ulimit>>,
    platform: Platform,
    form: Form,
) -> Result<(), AwsError> {
    for Ulimit { hard_limit, name, soft_limit } in ulimits.into_iter().flatten() {
        if platform == Platform::Fargate && (form == Form::Single || name != "nofile") {
            return Err(foreign(&format!("{at}.ulimits"), platform));
        }
        Limit::new(name, *soft_limit, *hard_limit).map_err(|error| client_exception(format!("{error}.")))?;
    }
    Ok(())
}
