//! An instance's log stream: lines are gathered while the last ones are being stored, and never wait for that.

use super::lines::Tail;
use super::report::Event;
use crate::logging::Format;
use barge_core::Clock;
use barge_core::ports::{LogLine, LogSink, LogTarget};
use std::sync::Arc;
use tokio::sync::mpsc;
use tokio_util::task::TaskTracker;

/// Bytes of lines that may wait; beyond it no more are read from the process.
const ROOM: usize = 512 * 1024;

/// What each event costs beyond its text (CloudWatch Logs API reference, PutLogEvents).
const OVERHEAD: usize = 26;

pub(crate) struct Journal {
    clock: Arc<dyn Clock>,
    format: Format,
    waiting: Vec<LogLine>,
    bytes: usize,
    writer: mpsc::Sender<Vec<LogLine>>,
    tail: Tail,
}

impl Journal {
    /// A journal whose lines go to `target`; its group is made where it is not there.
    pub(crate) fn open(
        logs: Arc<dyn LogSink>,
        target: LogTarget,
        format: Format,
        clock: Arc<dyn Clock>,
        tasks: &TaskTracker,
    ) -> Self {
        let (writer, batches) = mpsc::channel(1);
        tasks.spawn(store(logs, target, batches));
        Self { clock, format, waiting: Vec::new(), bytes: 0, writer, tail: Tail::default() }
    }

    /// Notes what Lambda itself has to tell.
    pub(crate) fn event(&mut self, event: &Event<'_>) {
        for line in event.lines(self.format, self.clock.now()) {
            self.line(line);
        }
    }

    /// Notes what the function printed.
    pub(crate) fn printed(&mut self, lines: Vec<String>) {
        for line in lines.into_iter().filter(|line| self.format.takes(line)).collect::<Vec<_>>() {
            self.line(line);
        }
    }

    fn line(&mut self, message: String) {
        self.tail.push(&message);
        self.bytes += message.len() + OVERHEAD;
        self.waiting.push(LogLine { timestamp: self.clock.now(), message });
    }

    /// Forgets the tail: what comes now belongs to another invocation.
    pub(crate) fn begin_tail(&mut self) {
        self.tail = Tail::default();
    }

    pub(crate) fn tail(&self) -> &str {
        self.tail.text()
    }

    pub(crate) fn has_room(&self) -> bool {
        self.bytes < ROOM
    }

    pub(crate) fn has_lines(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Hands the waiting lines to the writer as soon as it takes them. Safe to drop and call again.
    pub(crate) async fn flush(&mut self) {
        if let Ok(place) = self.writer.reserve().await {
            place.send(std::mem::take(&mut self.waiting));
        } else {
            self.waiting.clear();
        }
        self.bytes = 0;
    }
}

async fn store(logs: Arc<dyn LogSink>, target: LogTarget, mut batches: mpsc::Receiver<Vec<LogLine>>) {
    if let Err(error) = logs.ensure_group(&target.scope, &target.group).await {
        tracing::warn!(%error, group = %target.group, "a function's log group could not be made");
    }
    while let Some(lines) = batches.recv().await {
        match logs.append(&target, lines, None).await {
            Ok(()) => {}
            // Somebody deleted the group, and so wants none of them.
            Err(error) if error.is("ResourceNotFoundException") => {
                tracing::debug!(%error, group = %target.group, "lines of a function were not stored");
            }
            Err(error) => tracing::warn!(%error, group = %target.group, "lines of a function were not stored"),
        }
    }
}
