//! The OCI runtime specification of an attempt (OCI Runtime Specification, "Linux Container Configuration").

use super::hide::{self, Private};
use super::rootfs;
use crate::attempt::{Access, Capabilities};
use crate::mounts::Volume;
use crate::plan::{Plan, Privilege, RootPlan};
use oci_spec::OciSpecError;
use oci_spec::runtime::{
    Capability, LinuxBuilder, LinuxCapabilitiesBuilder, LinuxNamespaceBuilder, LinuxNamespaceType, Mount, MountBuilder,
    ProcessBuilder, RootBuilder, Spec, SpecBuilder, UserBuilder,
};
use std::collections::HashSet;
use std::path::{Path, PathBuf};

/// Docker's default set, without MKNOD.
const DEFAULT_CAPABILITIES: [Capability; 13] = [
    Capability::AuditWrite,
    Capability::Chown,
    Capability::DacOverride,
    Capability::Fowner,
    Capability::Fsetid,
    Capability::Kill,
    Capability::NetBindService,
    Capability::NetRaw,
    Capability::Setfcap,
    Capability::Setgid,
    Capability::Setpcap,
    Capability::Setuid,
    Capability::SysChroot,
];

/// Docker's: what of /proc and /sys tells of, or reaches, the host.
const MASKED: [&str; 11] = [
    "/proc/acpi",
    "/proc/asound",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/proc/timer_list",
    "/sys/devices/virtual/powercap",
    "/sys/firmware",
];

const READ_ONLY: [&str; 5] = ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"];

/// The specification that makes libcontainer carry out `plan`.
pub(crate) fn spec(plan: &Plan, private: &Private) -> Result<Spec, OciSpecError> {
    let user = UserBuilder::default()
        .uid(plan.identity.uid)
        .gid(plan.identity.gid)
        .additional_gids(plan.identity.groups.clone())
        .build()?;
    let capabilities = capabilities(plan.capabilities);
    let mut process = ProcessBuilder::default()
        .terminal(false)
        .user(user)
        .args(plan.args.clone())
        .env(plan.env.clone())
        .cwd(plan.cwd.clone())
        .capabilities(
            LinuxCapabilitiesBuilder::default()
                .bounding(capabilities.clone())
                .effective(capabilities.clone())
                .permitted(capabilities)
                .inheritable(HashSet::new())
                .ambient(HashSet::new())
                .build()?,
        )
        .no_new_privileges(true)
        .build()?;
    // The process sets them itself, last of all.
    process.set_rlimits(None);
    let namespaces =
        [LinuxNamespaceType::Mount, LinuxNamespaceType::Pid, LinuxNamespaceType::Ipc, LinuxNamespaceType::Uts]
            .into_iter()
            .map(|kind| LinuxNamespaceBuilder::default().typ(kind).build())
            .collect::<Result<Vec<_>, _>>()?;
    let mut linux = LinuxBuilder::default()
        .namespaces(namespaces)
        .cgroups_path(hide::GROUP)
        .masked_paths(MASKED.map(str::to_owned))
        .readonly_paths(READ_ONLY.map(str::to_owned))
        .build()?;
    // The builder's own limits and device rules: the group is made elsewhere.
    linux.set_resources(None).set_devices(None).set_seccomp(None);
    let mut spec = SpecBuilder::default()
        .version("1.0.2")
        .root(RootBuilder::default().path(private.root()).readonly(plan.root_access == Access::ReadOnly).build()?)
        .hostname(plan.hostname.clone())
        .process(process)
        .mounts(mounts(plan)?)
        .linux(linux)
        .build()?;
    spec.set_hooks(None).set_annotations(None);
    Ok(spec)
}

fn capabilities(which: Capabilities) -> HashSet<Capability> {
    match which {
        Capabilities::Default => DEFAULT_CAPABILITIES.into_iter().collect(),
        Capabilities::None => HashSet::new(),
    }
}

fn mounts(plan: &Plan) -> Result<Vec<Mount>, OciSpecError> {
    let rootless = plan.privilege != Privilege::Root;
    let mut mounts = vec![mount("proc", "proc", "/proc", &["nosuid", "noexec", "nodev"])?];
    // Sandboxes need their directories before what is mounted into them.
    if let RootPlan::Host { tmp_mib } = &plan.root {
        for path in rootfs::host_directories() {
            mounts.push(bind(&path, &path, Access::ReadOnly)?);
        }
        let size = format!("size={tmp_mib}m");
        mounts.push(mount("tmpfs", "tmpfs", "/tmp", &["nosuid", "nodev", "mode=1777", &size])?);
    }
    mounts.push(mount("tmpfs", "tmpfs", "/dev", &["nosuid", "noexec", "mode=755", "size=64k"])?);
    // Group 5 is tty wherever there is such a group; in a namespace with one group it is nobody's.
    let pts: &[&str] = &["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"];
    mounts.push(mount("devpts", "devpts", "/dev/pts", if rootless { &pts[..5] } else { pts })?);
    let size = format!("size={}m", plan.shm_mib);
    mounts.push(mount("tmpfs", "shm", "/dev/shm", &["nosuid", "noexec", "nodev", "mode=1777", &size])?);
    mounts.push(mount("mqueue", "mqueue", "/dev/mqueue", &["nosuid", "noexec", "nodev"])?);
    mounts.push(if rootless {
        // A new sysfs needs a network namespace of one's own; the host's is the container's.
        mount("bind", "/sys", "/sys", &["rbind", "nosuid", "noexec", "nodev", "rro"])?
    } else {
        mount("sysfs", "sysfs", "/sys", &["nosuid", "noexec", "nodev", "ro"])?
    });
    if matches!(plan.root, RootPlan::Overlay { .. }) {
        for file in rootfs::host_files() {
            mounts.push(bind(file, file, Access::ReadOnly)?);
        }
    }
    for volume in &plan.volumes {
        mounts.push(match volume {
            Volume::Bind(volume) => bind(&volume.source, &volume.target, volume.access)?,
            Volume::Memory { target, options } => {
                let options: Vec<&str> = options.iter().map(String::as_str).collect();
                mount("tmpfs", "tmpfs", target, &options)?
            }
        });
    }
    Ok(mounts)
}

fn bind(source: &Path, target: &Path, access: Access) -> Result<Mount, OciSpecError> {
    let options: &[&str] = match access {
        Access::ReadOnly => &["rbind", "nosuid", "nodev", "ro", "rro"],
        Access::ReadWrite => &["rbind", "nosuid", "nodev"],
    };
    mount("bind", source, target, options)
}

fn mount(
    kind: &str,
    source: impl Into<PathBuf>,
    target: impl Into<PathBuf>,
    options: &[&str],
) -> Result<Mount, OciSpecError> {
    MountBuilder::default()
        .typ(kind)
        .source(source)
        .destination(target)
        .options(options.iter().map(|option| (*option).to_owned()).collect::<Vec<_>>())
        .build()
}
