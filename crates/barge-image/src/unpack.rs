//! Unpacks one layer's tar into a directory, and never writes anywhere else.
//!
//! Why nothing escapes: every path is walked by the kernel, from an open descriptor of the layer's root, with
//! `openat2(RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS)`. That call fails when any step (`..`, a link to an absolute path, a
//! link out of the root) would leave the root, also when the layer itself put that link there a moment ago. What is
//! created is created by name in the directory so found (`mkdirat`, `openat(O_CREAT|O_EXCL|O_NOFOLLOW)`, `symlinkat`,
//! `linkat` without following), after what had that name is unlinked. Names themselves hold no slash, and `.` and `..` are
//! refused. So are hard links whose target is not beneath the root. Device files are left out: a container gets its own.
//! Links may point anywhere: they mean something only inside the container, where `/` is the container's.

use crate::{Digest, ImageError};
use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, OpenHow, ResolveFlag, open, openat, openat2};
use nix::sys::stat::{Mode, SFlag, UtimensatFlags, fchmod, makedev, mkdirat, mknodat, utimensat};
use nix::sys::time::TimeSpec;
use nix::unistd::{Gid, Uid, UnlinkatFlags, fchown, fchownat, linkat, symlinkat, unlinkat};
use rustix::fs::XattrFlags;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};
use tar::{Archive, Entry, EntryType};

/// How much one layer may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnpackLimits {
    /// Bytes of file content, unpacked.
    pub bytes: u64,
    /// Files, directories and links.
    pub entries: u64,
    /// Bytes that must stay free on the disk.
    pub leave_free: u64,
}

impl Default for UnpackLimits {
    /// 64 GiB in two million entries, and 256 MiB of disk left.
    fn default() -> Self {
        Self { bytes: 64 << 30, entries: 2_000_000, leave_free: 256 << 20 }
    }
}

/// Whose the unpacked files are.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ownership {
    /// Root unpacks: owners are the image's.
    AsPacked,
    /// An ordinary user unpacks: everything is theirs.
    Mine,
}

impl Ownership {
    pub(crate) fn of_this_process() -> Self {
        if nix::unistd::geteuid().is_root() { Self::AsPacked } else { Self::Mine }
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::AsPacked => "root",
            Self::Mine => "user",
        }
    }

    fn opaque_mark(self) -> &'static str {
        match self {
            Self::AsPacked => "trusted.overlay.opaque",
            Self::Mine => "user.overlay.opaque",
        }
    }
}

const WHITEOUT: &[u8] = b".wh.";
const OPAQUE: &[u8] = b".wh..wh..opq";
/// Marks of an older overlay file system, which mean nothing here.
const OTHER_MARK: &[u8] = b".wh..wh.";

/// The disk's free space is looked at after as many bytes.
const CHECK_SPACE_EVERY: u64 = 64 << 20;

/// Unpacks `tar` into the empty directory `root`.
pub(crate) fn unpack(tar: impl Read, root: &Path, layer: &Digest, limits: &UnpackLimits) -> Result<(), ImageError> {
    let broken = |error: io::Error| ImageError::Layer { layer: layer.clone(), reason: error.to_string() };
    let mut unpacker = Unpacker::new(root, limits).map_err(broken)?;
    let mut archive = Archive::new(tar);
    for entry in archive.entries().map_err(broken)? {
        let mut entry = entry.map_err(broken)?;
        let name = entry.path_bytes().into_owned();
        unpacker.add(&mut entry, &name).map_err(|problem| match problem {
            Problem::Escapes(reason) => ImageError::Escape {
                layer: layer.clone(),
                entry: String::from_utf8_lossy(&name).into_owned(),
                reason: reason.to_owned(),
            },
            Problem::Io(error) => ImageError::Layer {
                layer: layer.clone(),
                reason: format!("{}: {error}", String::from_utf8_lossy(&name)),
            },
            Problem::TooBig(reason) => ImageError::Layer { layer: layer.clone(), reason },
        })?;
    }
    unpacker.finish().map_err(broken)
}

enum Problem {
    Escapes(&'static str),
    TooBig(String),
    Io(io::Error),
}

impl From<io::Error> for Problem {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl From<Errno> for Problem {
    fn from(error: Errno) -> Self {
        Self::Io(error.into())
    }
}

/// What an entry says about the file itself.
#[derive(Clone, Copy)]
struct Attributes {
    mode: Mode,
    uid: u32,
    gid: u32,
    mtime: i64,
}

struct Unpacker<'a> {
    root: OwnedFd,
    limits: &'a UnpackLimits,
    ownership: Ownership,
    entries: u64,
    bytes: u64,
    unchecked: u64,
    /// The directory that the last entry was in, kept open: entries come directory by directory.
    last: Option<(PathBuf, OwnedFd)>,
    /// Directories get their attributes last: a mode may forbid, and every new entry changes the time.
    directories: Vec<(PathBuf, Attributes)>,
}

impl<'a> Unpacker<'a> {
    fn new(root: &Path, limits: &'a UnpackLimits) -> io::Result<Self> {
        let root = open(root, OFlag::O_DIRECTORY | OFlag::O_RDONLY | OFlag::O_CLOEXEC, Mode::empty())?;
        Ok(Self {
            root,
            limits,
            ownership: Ownership::of_this_process(),
            entries: 0,
            bytes: 0,
            unchecked: 0,
            last: None,
            directories: Vec::new(),
        })
    }

    fn add(&mut self, entry: &mut Entry<'_, impl Read>, name: &[u8]) -> Result<(), Problem> {
        self.entries += 1;
        if self.entries > self.limits.entries {
            return Err(Problem::TooBig(format!("more than {} entries", self.limits.entries)));
        }
        let kind = entry.header().entry_type();
        if kind == EntryType::XGlobalHeader {
            return Ok(());
        }
        let path = clean(name)?;
        let attributes = attributes(entry)?;
        let (Some(parent), Some(file_name)) = (path.parent(), path.file_name()) else {
            // The root itself.
            self.directories.push((PathBuf::from("."), attributes));
            return Ok(());
        };
        let parent = self.directory(parent)?;
        if file_name.as_bytes().starts_with(WHITEOUT) {
            return self.mark(&parent, file_name);
        }
        match kind {
            EntryType::Directory => self.make_directory(&parent, file_name, &path, attributes)?,
            EntryType::Symlink => {
                let target = link_name(entry)?;
                self.clear(&parent, file_name)?;
                symlinkat(target.as_os_str(), &parent, file_name)?;
                self.own(&parent, file_name, attributes)?;
                set_time(&parent, file_name, attributes)?;
            }
            EntryType::Link => {
                let target = clean(link_name(entry)?.as_os_str().as_bytes())?;
                self.link(&target, &parent, file_name)?;
            }
            EntryType::Fifo => {
                self.clear(&parent, file_name)?;
                mknodat(&parent, file_name, SFlag::S_IFIFO, attributes.mode, 0)?;
                self.own(&parent, file_name, attributes)?;
            }
            EntryType::Char | EntryType::Block => {}
            EntryType::Regular | EntryType::Continuous | EntryType::GNUSparse => {
                self.clear(&parent, file_name)?;
                self.write(entry, &parent, file_name, attributes)?;
            }
            other => return Err(Problem::Io(io::Error::other(format!("entries of type {other:?} are not supported")))),
        }
        Ok(())
    }

    /// The directory at `path`, made where it does not exist.
    fn directory(&mut self, path: &Path) -> Result<OwnedFd, Problem> {
        if let Some((last, fd)) = &self.last
            && last == path
        {
            return Ok(fd.try_clone()?);
        }
        let fd = match open_beneath(&self.root, path) {
            Ok(fd) => fd,
            Err(Errno::ENOENT) => {
                // Made one by one, each in the directory that the kernel found for the one before.
                let mut walked = PathBuf::new();
                let mut current = self.root.try_clone()?;
                for component in path.components() {
                    walked.push(component);
                    match mkdirat(&current, component.as_os_str(), Mode::from_bits_truncate(0o755)) {
                        Ok(()) | Err(Errno::EEXIST) => {}
                        Err(error) => return Err(error.into()),
                    }
                    current = open_beneath(&self.root, &walked).map_err(escape)?;
                }
                current
            }
            Err(error) => return Err(escape(error)),
        };
        self.last = Some((path.to_owned(), fd.try_clone()?));
        Ok(fd)
    }

    fn make_directory(
        &mut self,
        parent: &OwnedFd,
        name: &OsStr,
        path: &Path,
        attributes: Attributes,
    ) -> Result<(), Problem> {
        let mode = Mode::from_bits_truncate(0o700);
        match mkdirat(parent, name, mode) {
            Err(Errno::EEXIST) => {
                // A directory stays as it is and takes the new attributes; anything else makes room.
                let flags = OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_RDONLY | OFlag::O_CLOEXEC;
                if openat(parent, name, flags, Mode::empty()).is_err() {
                    self.clear(parent, name)?;
                    mkdirat(parent, name, mode)?;
                }
            }
            done => done?,
        }
        self.directories.push((path.to_owned(), attributes));
        Ok(())
    }

    /// Removes what has this name.
    fn clear(&mut self, parent: &OwnedFd, name: &OsStr) -> Result<(), Problem> {
        match unlinkat(parent, name, UnlinkatFlags::NoRemoveDir) {
            Ok(()) | Err(Errno::ENOENT) => Ok(()),
            Err(Errno::EISDIR | Errno::EPERM) => {
                self.last = None;
                // Through the open parent, by a name without slashes: the library's removal follows no links below it.
                let path = Path::new("/proc/self/fd").join(parent.as_raw_fd().to_string()).join(name);
                crate::layers::remove_tree(&path)?;
                Ok(())
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Turns a whiteout into what the overlay file system understands (OCI Image Specification, "Whiteouts").
    fn mark(&mut self, parent: &OwnedFd, name: &OsStr) -> Result<(), Problem> {
        let bytes = name.as_bytes();
        if bytes == OPAQUE {
            rustix::fs::fsetxattr(parent, self.ownership.opaque_mark(), b"y", XattrFlags::empty())
                .map_err(io::Error::from)?;
            return Ok(());
        }
        if bytes.starts_with(OTHER_MARK) {
            return Ok(());
        }
        let removed = OsStr::from_bytes(&bytes[WHITEOUT.len()..]);
        if matches!(removed.as_bytes(), b"" | b"." | b"..") {
            return Err(Problem::Escapes("is a whiteout for a directory's own or parent entry"));
        }
        self.clear(parent, removed)?;
        mknodat(parent, removed, SFlag::S_IFCHR, Mode::empty(), makedev(0, 0))?;
        Ok(())
    }

    fn link(&mut self, target: &Path, parent: &OwnedFd, name: &OsStr) -> Result<(), Problem> {
        let (Some(dir), Some(target_name)) = (target.parent(), target.file_name()) else {
            return Err(Problem::Escapes("is a hard link to the layer's root"));
        };
        let dir = open_beneath(&self.root, dir).map_err(escape)?;
        self.clear(parent, name)?;
        linkat(&dir, target_name, parent, name, AtFlags::empty())?;
        Ok(())
    }

    fn write(
        &mut self,
        entry: &mut Entry<'_, impl Read>,
        parent: &OwnedFd,
        name: &OsStr,
        attributes: Attributes,
    ) -> Result<(), Problem> {
        let capability = entry.pax_extensions()?.into_iter().flatten().flatten().find_map(|extension| {
            (extension.key() == Ok("SCHILY.xattr.security.capability")).then(|| extension.value_bytes().to_vec())
        });
        let flags = OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_NOFOLLOW | OFlag::O_WRONLY | OFlag::O_CLOEXEC;
        let mut file = File::from(openat(parent, name, flags, Mode::from_bits_truncate(0o600))?);
        self.copy(entry, &mut file)?;
        if self.ownership == Ownership::AsPacked {
            fchown(&file, Some(Uid::from_raw(attributes.uid)), Some(Gid::from_raw(attributes.gid)))?;
            if let Some(capability) = capability {
                rustix::fs::fsetxattr(&file, "security.capability", &capability, XattrFlags::empty())
                    .map_err(io::Error::from)?;
            }
        }
        // After the owner: a change of owner clears the set-user-id bits.
        fchmod(&file, attributes.mode)?;
        set_time(parent, name, attributes)
    }

    fn copy(&mut self, from: &mut impl Read, to: &mut File) -> Result<(), Problem> {
        loop {
            let room = self.limits.bytes.saturating_sub(self.bytes).min(CHECK_SPACE_EVERY) + 1;
            let copied = io::copy(&mut from.take(room), to)?;
            self.bytes += copied;
            self.unchecked += copied;
            if self.bytes > self.limits.bytes {
                return Err(Problem::TooBig(format!("more than {} bytes unpacked", self.limits.bytes)));
            }
            if self.unchecked > CHECK_SPACE_EVERY {
                self.unchecked = 0;
                let disk = rustix::fs::fstatvfs(&*to).map_err(io::Error::from)?;
                if disk.f_bavail.saturating_mul(disk.f_frsize) < self.limits.leave_free {
                    return Err(Problem::TooBig("the disk is full".to_owned()));
                }
            }
            if copied < room {
                return Ok(());
            }
        }
    }

    fn own(&self, parent: &OwnedFd, name: &OsStr, attributes: Attributes) -> Result<(), Problem> {
        if self.ownership == Ownership::AsPacked {
            let (uid, gid) = (Uid::from_raw(attributes.uid), Gid::from_raw(attributes.gid));
            fchownat(parent, name, Some(uid), Some(gid), AtFlags::AT_SYMLINK_NOFOLLOW)?;
        }
        Ok(())
    }

    fn finish(self) -> io::Result<()> {
        for (path, attributes) in self.directories.iter().rev() {
            // What was a directory may have become something else since.
            let Ok(directory) = open_beneath(&self.root, path) else { continue };
            let mut mode = attributes.mode;
            match self.ownership {
                Ownership::AsPacked => {
                    fchown(&directory, Some(Uid::from_raw(attributes.uid)), Some(Gid::from_raw(attributes.gid)))?;
                }
                // Their owner must be able to remove them.
                Ownership::Mine => mode |= Mode::S_IRWXU,
            }
            fchmod(&directory, mode)?;
            let time = TimeSpec::new(attributes.mtime, 0);
            nix::sys::stat::futimens(&directory, &time, &time)?;
        }
        Ok(())
    }
}

fn set_time(parent: &OwnedFd, name: &OsStr, attributes: Attributes) -> Result<(), Problem> {
    let time = TimeSpec::new(attributes.mtime, 0);
    utimensat(parent, name, &time, &time, UtimensatFlags::NoFollowSymlink)?;
    Ok(())
}

fn open_beneath(root: &OwnedFd, path: &Path) -> nix::Result<OwnedFd> {
    let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
    let how = OpenHow::new()
        .flags(OFlag::O_DIRECTORY | OFlag::O_RDONLY | OFlag::O_CLOEXEC)
        .resolve(ResolveFlag::RESOLVE_BENEATH | ResolveFlag::RESOLVE_NO_MAGICLINKS);
    openat2(root.as_fd(), path, how)
}

/// What the kernel's refusal to walk a path means.
fn escape(error: Errno) -> Problem {
    match error {
        Errno::EXDEV => Problem::Escapes("leads out of the layer"),
        Errno::ELOOP => Problem::Escapes("leads through a loop of links"),
        error => error.into(),
    }
}

/// An entry's name as a relative path of ordinary components; empty for the root. A leading `/` means the layer's root, as
/// builders write it.
fn clean(name: &[u8]) -> Result<PathBuf, Problem> {
    let mut path = PathBuf::new();
    for component in Path::new(OsStr::from_bytes(name)).components() {
        match component {
            Component::Normal(name) => path.push(name),
            Component::RootDir | Component::CurDir => {}
            Component::ParentDir | Component::Prefix(_) => return Err(Problem::Escapes("contains \"..\"")),
        }
    }
    Ok(path)
}

fn link_name(entry: &Entry<'_, impl Read>) -> Result<OsString, Problem> {
    let name = entry.link_name_bytes().ok_or_else(|| io::Error::other("a link without a target"))?;
    Ok(OsStr::from_bytes(&name).to_owned())
}

fn attributes(entry: &Entry<'_, impl Read>) -> Result<Attributes, Problem> {
    let header = entry.header();
    let id = |id: u64| u32::try_from(id).map_err(|_| io::Error::other("an owner that no file can have"));
    Ok(Attributes {
        mode: Mode::from_bits_truncate(header.mode()? & 0o7777),
        uid: id(header.uid()?)?,
        gid: id(header.gid()?)?,
        mtime: i64::try_from(header.mtime()?).unwrap_or(0),
    })
}
