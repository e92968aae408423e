//! Bodies on disk: immutable files with random names, written once and never changed.
//!
//! A blob is written under `incoming/` and moves to its place once the commit that refers to it is on disk. What is
//! still under `incoming/` when the program starts either was committed (and moves now) or never will be (and goes).
//! Readers pin blobs; a pinned blob that nothing refers to any more goes when its last reader is done.
//! Nothing here knows buckets or keys.

mod read;
mod receive;

pub(crate) use read::{Piece, concatenate, copy, stream};
pub(crate) use receive::{Digests, Received, receive};

use barge_core::IdSource;
use std::collections::{HashMap, HashSet};
use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::mpsc::UnboundedSender;

const NAME_DIGITS: usize = 32;

/// All blobs.
pub(crate) struct Blobs {
    root: PathBuf,
    incoming: PathBuf,
    ids: Arc<dyn IdSource>,
    pins: Mutex<Pins>,
    removed: UnboundedSender<String>,
}

#[derive(Default)]
struct Pins {
    readers: HashMap<String, usize>,
    doomed: HashSet<String>,
}

impl Blobs {
    /// Opens the directory `root` and makes it where there is none. The name of each blob that goes late, with its
    /// last reader, is sent to `removed`.
    pub(crate) fn open(root: PathBuf, ids: Arc<dyn IdSource>, removed: UnboundedSender<String>) -> io::Result<Self> {
        let incoming = root.join("incoming");
        fs::create_dir_all(&incoming)?;
        Ok(Self { root, incoming, ids, pins: Mutex::default(), removed })
    }

    /// The names of blobs that a run before this one left under `incoming/`.
    pub(crate) fn unsettled(&self) -> io::Result<Vec<String>> {
        let names = fs::read_dir(&self.incoming)?;
        names.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect()
    }

    /// A new, empty blob.
    pub(crate) fn create(self: &Arc<Self>) -> io::Result<NewBlob> {
        let name = self.ids.hex(NAME_DIGITS);
        let file = File::options().read(true).write(true).create_new(true).open(self.incoming.join(&name))?;
        Ok(NewBlob { blobs: Arc::clone(self), name, file, fate: Fate::Discard })
    }

    /// A new blob with the bytes of `source`, without copying them.
    pub(crate) fn link(self: &Arc<Self>, source: &str) -> io::Result<NewBlob> {
        let name = self.ids.hex(NAME_DIGITS);
        let path = self.incoming.join(&name);
        let linked = self.places(source).iter().try_fold(None, |done, place| match done {
            Some(()) => Ok(done),
            None => found(fs::hard_link(place, &path)),
        });
        linked?.ok_or(ErrorKind::NotFound)?;
        let blob = NewBlob { blobs: Arc::clone(self), name, file: File::open(&path)?, fate: Fate::Discard };
        sync_directory(&self.incoming)?;
        Ok(blob)
    }

    /// Moves a blob to its place, after the commit that refers to it. A failure costs nothing but a longer way to the
    /// file: readers look under `incoming/` too.
    pub(crate) fn settle(&self, name: &str) {
        let (from, to) = (self.incoming.join(name), self.settled(name));
        let moved = match fs::rename(&from, &to) {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                to.parent().map_or(Ok(()), fs::create_dir_all).and_then(|()| fs::rename(&from, &to))
            }
            result => result,
        };
        if let Err(error) = moved {
            tracing::warn!(%error, blob = name, "a blob stays in incoming");
        }
    }

    /// Opens a blob; `None` where it is gone.
    fn file(&self, name: &str) -> io::Result<Option<File>> {
        for place in self.places(name) {
            if let Some(file) = found(File::open(place))? {
                return Ok(Some(file));
            }
        }
        Ok(None)
    }

    fn exists(&self, name: &str) -> bool {
        self.places(name).iter().any(|place| place.exists())
    }

    /// Where to look for a blob. The settled place comes twice, because the blob may move between the first look and
    /// the second.
    fn places(&self, name: &str) -> [PathBuf; 3] {
        [self.settled(name), self.incoming.join(name), self.settled(name)]
    }

    /// Keeps blobs readable until the answer is dropped; `None` where one of them is gone.
    pub(crate) fn pin(self: &Arc<Self>, names: Vec<String>) -> Option<Pinned> {
        let mut pins = self.pins();
        if !names.iter().all(|name| self.exists(name)) {
            return None;
        }
        for name in &names {
            *pins.readers.entry(name.clone()).or_default() += 1;
        }
        Some(Pinned { blobs: Arc::clone(self), names })
    }

    /// Removes a blob that nothing refers to, or has its last reader do so. Says whether it is gone now.
    pub(crate) fn remove(&self, name: &str) -> io::Result<bool> {
        let mut pins = self.pins();
        if pins.readers.contains_key(name) {
            pins.doomed.insert(name.to_owned());
            return Ok(false);
        }
        self.unlink(name)?;
        Ok(true)
    }

    fn unlink(&self, name: &str) -> io::Result<()> {
        for path in [self.settled(name), self.incoming.join(name)] {
            match fs::remove_file(path) {
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                result => return result,
            }
        }
        Ok(())
    }

    fn settled(&self, name: &str) -> PathBuf {
        // 256 directories, so that none grows too long to list.
        self.root.join(name.get(..2).unwrap_or("00")).join(name)
    }

    fn pins(&self) -> MutexGuard<'_, Pins> {
        // The table is whole between any two statements that hold the lock, whoever panicked.
        self.pins.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// `None` where there is no such file.
fn found<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        result => result.map(Some),
    }
}

fn sync_directory(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

/// Blobs that stay readable for as long as this lives.
pub(crate) struct Pinned {
    blobs: Arc<Blobs>,
    names: Vec<String>,
}

impl Pinned {
    /// Opens one of the blobs.
    pub(crate) fn file(&self, name: &str) -> io::Result<File> {
        self.blobs.file(name)?.ok_or_else(|| ErrorKind::NotFound.into())
    }

    /// A new file without a name, which goes when it is closed.
    pub(crate) fn scratch(&self) -> io::Result<File> {
        let blob = self.blobs.create()?;
        blob.file.try_clone()
    }
}

impl Drop for Pinned {
    fn drop(&mut self) {
        let mut pins = self.blobs.pins();
        for name in &self.names {
            let readers = pins.readers.get_mut(name).map_or(0, |count| {
                *count -= 1;
                *count
            });
            if readers > 0 {
                continue;
            }
            pins.readers.remove(name);
            if pins.doomed.remove(name) && self.blobs.unlink(name).is_ok() {
                // Nobody listens once the service has ended; the next start removes what is left.
                let _ = self.blobs.removed.send(name.clone());
            }
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Fate {
    Discard,
    Keep,
}

/// A blob that nothing refers to yet. It goes when this is dropped before [`NewBlob::keep`].
pub(crate) struct NewBlob {
    blobs: Arc<Blobs>,
    name: String,
    file: File,
    fate: Fate,
}

impl NewBlob {
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Makes the bytes and the file's name durable.
    fn sync(&self) -> io::Result<()> {
        self.file.sync_all()?;
        sync_directory(&self.blobs.incoming)
    }

    /// From now on a commit may refer to the blob, even if its outcome is never heard of.
    pub(crate) fn keep(mut self) -> String {
        self.fate = Fate::Keep;
        self.name.clone()
    }
}

impl Drop for NewBlob {
    fn drop(&mut self) {
        if self.fate == Fate::Discard
            && let Err(error) = self.blobs.unlink(&self.name)
        {
            tracing::warn!(%error, blob = self.name, "a discarded blob stays until the next start");
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use barge_core::RandomIds;
    use std::io::Write as _;
    use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

    pub(crate) fn blobs(root: &Path) -> (Arc<Blobs>, UnboundedReceiver<String>) {
        let (sender, receiver) = unbounded_channel();
        (Arc::new(Blobs::open(root.to_owned(), Arc::new(RandomIds), sender).unwrap()), receiver)
    }

    pub(crate) fn write(blobs: &Arc<Blobs>, bytes: &[u8]) -> String {
        let mut blob = blobs.create().unwrap();
        blob.file.write_all(bytes).unwrap();
        blob.keep()
    }

    fn read(pinned: &Pinned, name: &str) -> Vec<u8> {
        let mut bytes = Vec::new();
        io::Read::read_to_end(&mut pinned.file(name).unwrap(), &mut bytes).unwrap();
        bytes
    }

    #[test]
    fn a_blob_is_readable_before_and_after_it_settles() {
        let directory = tempfile::tempdir().unwrap();
        let (blobs, _) = blobs(directory.path());
        let name = write(&blobs, b"x");
        let pinned = blobs.pin(vec![name.clone()]).unwrap();
        assert_eq!(read(&pinned, &name), b"x");
        blobs.settle(&name);
        assert_eq!(read(&pinned, &name), b"x");
        assert!(blobs.unsettled().unwrap().is_empty());
    }

    #[test]
    fn a_blob_that_nothing_keeps_is_discarded() {
        let directory = tempfile::tempdir().unwrap();
        let (blobs, _) = blobs(directory.path());
        drop(blobs.create().unwrap());
        assert!(blobs.unsettled().unwrap().is_empty());
    }

    #[test]
    fn a_removed_blob_waits_for_its_last_reader() {
        let directory = tempfile::tempdir().unwrap();
        let (blobs, mut removed) = blobs(directory.path());
        let name = write(&blobs, b"x");
        let (one, other) = (blobs.pin(vec![name.clone()]).unwrap(), blobs.pin(vec![name.clone()]).unwrap());
        assert!(!blobs.remove(&name).unwrap());
        drop(one);
        assert_eq!(read(&other, &name), b"x");
        assert!(removed.try_recv().is_err());
        drop(other);
        assert_eq!(removed.try_recv().unwrap(), name);
        assert!(blobs.pin(vec![name]).is_none());
    }

    #[test]
    fn a_link_outlives_its_source() {
        let directory = tempfile::tempdir().unwrap();
        let (blobs, _) = blobs(directory.path());
        let source = write(&blobs, b"x");
        let copy = blobs.link(&source).unwrap().keep();
        assert!(blobs.remove(&source).unwrap());
        assert_eq!(read(&blobs.pin(vec![copy.clone()]).unwrap(), &copy), b"x");
    }
}
