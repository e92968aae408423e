//! Puts the container's root file system together, in the shim's own mount namespace.

use super::hide::Private;
use crate::folder::Folder;
use crate::plan::{Plan, Privilege, RootPlan};
use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, OpenHow, ResolveFlag, open, openat, openat2};
use nix::mount::{MntFlags, MsFlags, mount as mount_raw, umount2};
use nix::sys::stat::{Mode, SFlag, fstatat};
use nix::unistd::{UnlinkatFlags, unlinkat};
use std::fs::{self, File};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// The host's files that stand in an image's place of the same name.
const OF_HOST: [&str; 2] = ["/etc/resolv.conf", "/etc/hosts"];

/// What of the attempt's directory holds what the container writes to its root.
pub(crate) const WRITTEN: [&str; 2] = ["upper", "work"];

/// Directories that libcontainer builds, by paths that it puts together itself.
const MADE_HERE: [&str; 3] = ["dev", "proc", "sys"];

/// The system directories of the host that a sandbox sees. Those that are links on this host are links there too.
const SYSTEM: [&str; 7] = ["/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32"];

/// How a directory is opened that is only looked into.
const DIRECTORY: OFlag = OFlag::O_PATH.union(OFlag::O_DIRECTORY).union(OFlag::O_CLOEXEC);

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

/// Mounts the root at its place in `private`.
pub(crate) fn mount(folder: &Folder, plan: &Plan, private: &Private) -> io::Result<()> {
    let target = &private.root();
    match &plan.root {
        RootPlan::Overlay { layers } => scaffold(layers, &private.scaffold())
            .and_then(|()| overlay(folder, plan, layers, private))
            .and_then(|()| straighten(target)),
        RootPlan::Host { .. } => skeleton(target),
    }
    .map_err(|error| io::Error::new(error.kind(), format!("root file system: {error}")))
}

/// The layers, read-only, and on top a directory of the attempt's own. Device files in either mean nothing there.
fn overlay(folder: &Folder, plan: &Plan, layers: &[PathBuf], private: &Private) -> io::Result<()> {
    let target = &private.root();
    let (upper, work) = (folder.file("upper"), folder.file("work"));
    fs::create_dir_all(&upper)?;
    fs::create_dir_all(&work)?;
    // Paths come as open directories: they may contain what separates mount options, and a hundred of them would
    // not fit into one page of options.
    let open_dir = |path: &Path| open(path, DIRECTORY, Mode::empty());
    let scaffold = private.scaffold();
    let fds: Vec<OwnedFd> =
        [&scaffold].into_iter().chain(layers.iter().rev()).map(|path| open_dir(path)).collect::<Result<_, Errno>>()?;
    let lower: Vec<String> = fds.iter().map(proc_path).collect();
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

/// The files of [`OF_HOST`] that this host has.
pub(crate) fn host_files() -> impl Iterator<Item = &'static Path> {
    OF_HOST.iter().map(Path::new).filter(|file| file.exists())
}

/// Makes what every container needs in its image's tree, as a layer in memory on top of the image's: directories to mount
/// on, and files that the host's are laid over. In the container's own layer each would be made on the disk and removed again.
///
/// It hides what the image has there, links above all, wherever they lead: libcontainer, outside of the container, would
/// follow one at `/dev` to the host's.
fn scaffold(layers: &[PathBuf], place: &Path) -> io::Result<()> {
    fs::create_dir(place)?;
    for name in MADE_HERE {
        fs::create_dir(place.join(name))?;
    }
    let etc = place.join("etc");
    let like = match in_image(layers, "etc")? {
        Found::Directory { mode, uid, gid } => Some((mode, uid, gid)),
        Found::Nothing => None,
        // Not the image's directory, wherever it is: files are put there as into any other.
        Found::Other => return Ok(()),
    };
    fs::create_dir(&etc)?;
    if let Some((mode, uid, gid)) = like {
        std::os::unix::fs::lchown(&etc, Some(uid), Some(gid))?;
        fs::set_permissions(&etc, fs::Permissions::from_mode(mode))?;
    }
    for file in host_files() {
        let inside = place.join(file.strip_prefix("/").unwrap_or(file));
        File::options().write(true).create_new(true).open(inside)?;
    }
    Ok(())
}

/// What an image has at a place.
enum Found {
    Directory { mode: u32, uid: u32, gid: u32 },
    Nothing,
    Other,
}

/// What the topmost of `layers` that has the top-level entry `name` has there.
fn in_image(layers: &[PathBuf], name: &str) -> io::Result<Found> {
    for layer in layers.iter().rev() {
        let meta = match fs::symlink_metadata(layer.join(name)) {
            Ok(meta) => meta,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(error),
        };
        return Ok(if meta.is_dir() {
            Found::Directory { mode: meta.mode() & 0o7777, uid: meta.uid(), gid: meta.gid() }
        } else if meta.file_type().is_char_device() {
            // The mark that it was removed.
            Found::Nothing
        } else {
            Found::Other
        });
    }
    Ok(Found::Nothing)
}

/// Has a link at the place of a file of the host's, wherever it leads, give way to an empty file in the container's own
/// layer. No link is followed out of the container's root.
fn straighten(target: &Path) -> io::Result<()> {
    let root = open(target, DIRECTORY, Mode::empty())?;
    for file in OF_HOST.map(Path::new) {
        let (Some(parent), Some(name)) = (file.parent(), file.file_name().map(Path::new)) else { continue };
        let inside = parent.strip_prefix("/").unwrap_or(parent);
        let how =
            OpenHow::new().flags(DIRECTORY).resolve(ResolveFlag::RESOLVE_IN_ROOT | ResolveFlag::RESOLVE_NO_MAGICLINKS);
        // Where there is no such directory nothing is in the way.
        let Ok(parent) = openat2(&root, inside, how) else { continue };
        if is_link(&parent, name)? {
            unlinkat(&parent, name, UnlinkatFlags::NoRemoveDir)?;
            let new = OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_NOFOLLOW | OFlag::O_WRONLY | OFlag::O_CLOEXEC;
            openat(&parent, name, new, Mode::from_bits_truncate(0o644))?;
        }
    }
    Ok(())
}

fn is_link(directory: &OwnedFd, name: &Path) -> io::Result<bool> {
    match fstatat(directory, name, AtFlags::AT_SYMLINK_NOFOLLOW) {
        Ok(stat) => Ok(SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT == SFlag::S_IFLNK),
        Err(Errno::ENOENT) => Ok(false),
        Err(error) => Err(error.into()),
    }
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

/// Takes the root, mounted at `target`, down and removes what the container wrote to it.
pub(crate) fn remove(folder: &Folder, target: &Path) {
    // It may never have been mounted.
    let _ = umount2(target, MntFlags::MNT_DETACH);
    for name in WRITTEN {
        let path = folder.file(name);
        if let Err(error) = fs::remove_dir_all(&path)
            && error.kind() != io::ErrorKind::NotFound
        {
            eprintln!("removing {}: {error}", path.display());
        }
    }
}
