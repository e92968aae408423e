//! Links to code, as GetFunction gives them: unguessable, and good for ten minutes.

use barge_core::{Ambient, Timestamp};
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// How long a link works (Lambda API reference, GetFunction).
const LIFETIME: Duration = Duration::from_mins(10);

/// The links that work.
#[derive(Debug, Default)]
pub(crate) struct Downloads {
    links: Mutex<HashMap<String, (String, Timestamp)>>,
}

impl Downloads {
    /// A token for the code `sha256`.
    pub(crate) fn issue(&self, sha256: &str, ambient: &Ambient) -> String {
        let (token, now) = (ambient.ids.hex(48), ambient.clock.now());
        let mut links = self.links.lock().unwrap_or_else(PoisonError::into_inner);
        links.retain(|_, (_, end)| now < *end);
        links.insert(token.clone(), (sha256.to_owned(), now + LIFETIME));
        token
    }

    /// The code that a token is for.
    pub(crate) fn code(&self, token: &str, now: Timestamp) -> Option<String> {
        let links = self.links.lock().unwrap_or_else(PoisonError::into_inner);
        links.get(token).filter(|(_, end)| now < *end).map(|(sha256, _)| sha256.clone())
    }
}
