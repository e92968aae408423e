//! A local subscriber to what services tell of: a file with one event a line, as EventBridge carries them.

use async_trait::async_trait;
use barge_core::ports::{Event, EventSink};
use barge_core::{AwsError, Document};
use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

/// A file that events are appended to. Each is on disk before whoever told of it forgets it, so it is there at least once, also
/// after a crash; its `id` tells repetitions of one that was being written then.
pub(crate) struct EventLog(Arc<Mutex<File>>);

impl EventLog {
    /// Appends to the file at `path`, which is made where it is missing.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        Ok(Self(Arc::new(Mutex::new(OpenOptions::new().create(true).append(true).open(path)?))))
    }
}

#[async_trait]
impl EventSink for EventLog {
    async fn put(&self, events: Vec<Event>) -> Result<(), AwsError> {
        let lines: String = events.into_iter().map(|event| envelope(event).to_json() + "\n").collect();
        let file = Arc::clone(&self.0);
        let written = tokio::task::spawn_blocking(move || {
            let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
            file.write_all(lines.as_bytes())?;
            file.sync_data()
        });
        written.await.map_err(AwsError::internal)?.map_err(AwsError::internal)
    }
}

/// The event with the members that subscribers see (EventBridge User Guide, "AWS service event metadata").
fn envelope(event: Event) -> Document {
    let Event { id, source, detail_type, scope, time, resources, detail } = event;
    Document::map([
        ("version", "0".into()),
        ("id", id.into()),
        ("detail-type", detail_type.into()),
        ("source", source.into()),
        ("account", scope.account.as_str().into()),
        ("time", time.iso8601().into()),
        ("region", scope.region.as_str().into()),
        ("resources", Document::List(resources.into_iter().map(Document::from).collect())),
        ("detail", detail),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;
    use barge_core::{Scope, Timestamp};

    #[tokio::test]
    async fn events_are_lines_in_order() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("events.jsonl");
        let log = EventLog::open(&path).unwrap();
        let event = |id: &str| Event {
            id: id.to_owned(),
            source: "aws.batch".to_owned(),
            detail_type: "Batch Job State Change".to_owned(),
            scope: Scope::default(),
            time: Timestamp::from_millis(0),
            resources: vec!["arn".to_owned()],
            detail: Document::map([("status", "RUNNABLE".into())]),
        };
        log.put(vec![event("1"), event("2")]).await.unwrap();
        EventLog::open(&path).unwrap().put(vec![event("3")]).await.unwrap();
        let text = std::fs::read_to_string(path).unwrap();
        let ids: Vec<&str> = text.lines().filter_map(|line| line.split("\"id\":\"").nth(1)?.get(..1)).collect();
        assert_eq!(ids, ["1", "2", "3"]);
        assert!(text.contains("\"detail-type\":\"Batch Job State Change\""), "{text}");
    }
}
