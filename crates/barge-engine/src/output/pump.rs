//! Carries an attempt's lines into its log stream: each once, whatever is killed meanwhile.

use super::OutputReader;
use barge_core::AwsError;
use barge_core::ports::{LogSink, LogTarget};
use std::sync::Arc;
use std::time::Duration;

const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// Appends everything that `reader` gives to `target`, until the attempt has ended and its last line is stored.
///
/// `reader` must start at the sink's [`LogSink::position`] for `target`. Lines and position are committed together by
/// the sink, so that a pump that starts again neither loses nor doubles a line. An error of the server's (5xx) is
/// tried again; where the stream's group is gone the rest has no place, and is left.
pub async fn pump_output(mut reader: OutputReader, sink: Arc<dyn LogSink>, target: LogTarget) {
    loop {
        let batch = match reader.next().await {
            Ok(Some(batch)) => batch,
            Ok(None) => return,
            Err(error) => {
                tracing::error!(%error, stream = target.stream, "an attempt's output cannot be read");
                return;
            }
        };
        let append = || sink.append(&target, batch.lines.clone(), Some(batch.read_to));
        if let Err(error) = persist(append).await {
            tracing::warn!(%error, stream = target.stream, "an attempt's output has no place");
            return;
        }
    }
}

/// Repeats `action` while the server is at fault.
pub(crate) async fn persist<T, F>(mut action: impl FnMut() -> F) -> Result<T, AwsError>
where
    F: Future<Output = Result<T, AwsError>>,
{
    let mut pause = FIRST_PAUSE;
    loop {
        match action().await {
            Err(error) if error.status >= 500 => {
                tracing::warn!(%error, "storing output failed; trying again");
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
            done => return done,
        }
    }
}
