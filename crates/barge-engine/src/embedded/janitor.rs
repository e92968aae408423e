//! Removes directories that nobody needs any more, on a thread of its own: nobody waits for it.

use barge_image::remove_tree;
use std::io;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::Duration;

/// How often, and how far apart, a directory is tried to be removed. A shim that still cleans up in it makes a try fail.
const TRIES: u32 = 20;
const BETWEEN_TRIES: Duration = Duration::from_millis(50);

/// The way to the thread, which ends, after its last work, with this.
pub(super) struct Janitor(Sender<PathBuf>);

/// A directory that could not be removed yet.
struct Stubborn {
    path: PathBuf,
    tries: u32,
}

impl Janitor {
    pub(super) fn start() -> io::Result<Self> {
        let (sender, work) = channel();
        thread::Builder::new().name("barge-janitor".to_owned()).spawn(move || clean(&work))?;
        Ok(Self(sender))
    }

    /// Has a directory removed with all that is in it. What is left of it after a crash the next start removes.
    pub(super) fn remove(&self, path: PathBuf) {
        // The thread lives as long as this does.
        let _ = self.0.send(path);
    }
}

fn clean(work: &Receiver<PathBuf>) {
    let mut stubborn: Vec<Stubborn> = Vec::new();
    loop {
        let next = if stubborn.is_empty() {
            work.recv().map_err(|_| RecvTimeoutError::Disconnected)
        } else {
            work.recv_timeout(BETWEEN_TRIES)
        };
        match next {
            Ok(path) => stubborn.extend(try_again(Stubborn { path, tries: 0 })),
            Err(RecvTimeoutError::Timeout) => stubborn = stubborn.into_iter().filter_map(try_again).collect(),
            Err(RecvTimeoutError::Disconnected) => return,
        }
    }
}

/// Gives the directory back where it is to be tried once more.
fn try_again(Stubborn { path, tries }: Stubborn) -> Option<Stubborn> {
    match remove_tree(&path) {
        Ok(()) => None,
        Err(_) if tries < TRIES => Some(Stubborn { path, tries: tries + 1 }),
        Err(error) => {
            tracing::warn!(%error, path = %path.display(), "not removed; the next start tries again");
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn what_is_handed_over_goes_and_what_is_not_there_is_no_trouble() {
        let dir = tempfile::tempdir().unwrap();
        let janitor = Janitor::start().unwrap();
        for name in ["a", "b"] {
            let path = dir.path().join(name);
            fs::create_dir_all(path.join("x/y")).unwrap();
            janitor.remove(path);
        }
        janitor.remove(dir.path().join("none"));
        while fs::read_dir(dir.path()).unwrap().next().is_some() {
            thread::yield_now();
        }
    }
}
