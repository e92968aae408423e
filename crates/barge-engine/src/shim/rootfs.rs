//! Puts the container's root file system together, in the shim's own mount namespace.

use crate::folder::Folder;
use crate::plan::{Plan, Privilege, RootPlan};
use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::mount::{MntFlags, MsFlags, mount as mount_raw, umount2};
use nix::sys::stat::Mode;
use std::fs;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};

/// The root's place in the attempt's directory.
pub(crate) const ROOTFS: &str = "rootfs";

/// The system directories of the host that a sandbox sees. Those that are links on this host are links there too.
const SYSTEM: [&str; 7] = ["/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32"];

/// What of `/etc` programs need to start (the loader, alternatives), to find names (users, hosts) and to trust
/// (certificates). Nothing secret: no shadow file, no keys, no configuration of services.
const ETC: [&str; 19] = [
    "alternatives",
    "ca-certificates",
    "ca-certificates.conf",
    "crypto-policies",
    "group",
    "hosts",
    "ld.so.cache",
    "ld.so.conf",
    "ld.so.conf.d",
    "localtime",
    "mime.types",
    "nsswitch.conf",
    "os-release",
    "passwd",
    "pki",
    "protocols",
    "resolv.conf",
    "services",
    "ssl",
];

/// Mounts the root at [`ROOTFS`].
pub(crate) fn mount(folder: &Folder, plan: &Plan) -> io::Result<()> {
    let target = folder.file(ROOTFS);
    fs::create_dir_all(&target)?;
    match &plan.root {
        RootPlan::Overlay { layers } => overlay(folder, plan, layers, &target),
        RootPlan::Host { .. } => skeleton(&target),
    }
    .map_err(|error| io::Error::new(error.kind(), format!("root file system: {error}")))
}

/// The layers, read-only, and on top a directory of the attempt's own. Device files in either mean nothing there.
fn overlay(folder: &Folder, plan: &Plan, layers: &[PathBuf], target: &Path) -> io::Result<()> {
    let (upper, work) = (folder.file("upper"), folder.file("work"));
    fs::create_dir_all(&upper)?;
    fs::create_dir_all(&work)?;
    // Paths come as open directories: they may contain what separates mount options, and a hundred of them would
    // not fit into one page of options.
    let open_dir = |path: &Path| open(path, OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC, Mode::empty());
    let fds: Vec<OwnedFd> = layers.iter().rev().map(|path| open_dir(path)).collect::<Result<_, Errno>>()?;
    let empty = if fds.is_empty() { Some(empty_layer(folder)?) } else { None };
    let lower: Vec<String> = fds.iter().chain(&empty).map(proc_path).collect();
    let (upper, work) = (open_dir(&upper)?, open_dir(&work)?);
    let mut options =
        format!("lowerdir={},upperdir={},workdir={}", lower.join(":"), proc_path(&upper), proc_path(&work));
    if plan.privilege != Privilege::Root {
        options.push_str(",userxattr");
    }
    // What a container writes to its root goes when it ends: no sync of its has to reach the disk.
    let attempt = |options: &str| mount_raw(Some("overlay"), target, Some("overlay"), MsFlags::MS_NODEV, Some(options));
    match attempt(&format!("{options},volatile")) {
        Err(Errno::EINVAL) => attempt(&options)?,
        done => done?,
    }
    Ok(())
}

fn empty_layer(folder: &Folder) -> io::Result<OwnedFd> {
    let path = folder.file("empty");
    fs::create_dir_all(&path)?;
    Ok(open(&path, OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC, Mode::empty())?)
}

fn proc_path(fd: &OwnedFd) -> String {
    format!("/proc/self/fd/{}", fd.as_raw_fd())
}

/// An empty root with the host's links in it; its directories are mounted by the container's own mounts.
fn skeleton(target: &Path) -> io::Result<()> {
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
    mount_raw(Some("tmpfs"), target, Some("tmpfs"), flags, Some("size=4m,mode=755"))?;
    for dir in ["etc", "tmp", "var", "proc", "sys", "dev"] {
        fs::create_dir(target.join(dir))?;
    }
    std::os::unix::fs::symlink("/tmp", target.join("var/tmp"))?;
    for link in SYSTEM {
        if let Ok(to) = fs::read_link(link) {
            std::os::unix::fs::symlink(to, target.join(link.trim_start_matches('/')))?;
        }
    }
    Ok(())
}

/// What of the host a sandbox sees at the same place.
pub(crate) fn host_directories() -> Vec<PathBuf> {
    let is_real = |path: &Path| fs::symlink_metadata(path).is_ok_and(|meta| !meta.is_symlink());
    let system = SYSTEM.iter().map(PathBuf::from).filter(|path| is_real(path));
    // Debian keeps each Python's site configuration in /etc/pythonX.Y.
    let pythons = fs::read_dir("/etc")
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.file_name().and_then(|n| n.to_str()).is_some_and(|n| n.starts_with("python")));
    let etc = ETC.iter().map(|name| Path::new("/etc").join(name)).filter(|path| path.exists());
    system.chain(etc).chain(pythons).collect()
}

/// Takes the root down and removes what the container wrote to it.
pub(crate) fn remove(folder: &Folder) {
    // It may never have been mounted.
    let _ = umount2(&folder.file(ROOTFS), MntFlags::MNT_DETACH);
    for name in ["upper", "work", "state"] {
        let path = folder.file(name);
        if let Err(error) = fs::remove_dir_all(&path)
            && error.kind() != io::ErrorKind::NotFound
        {
            eprintln!("removing {}: {error}", path.display());
        }
    }
}
