//! Spot interruptions at the rate that the operator set: chance lives here, not in the core.

use crate::core::{Event, spot_targets};
use crate::dispatcher::Handle;
use barge_core::IdSource;
use std::sync::Arc;
use std::time::Duration;

/// How often the dice are rolled.
const ROUND: Duration = Duration::from_secs(5);

/// Interrupts what runs on Spot, `rate` times an hour each, until the dispatcher is gone.
pub(crate) async fn run(dispatcher: Handle, ids: Arc<dyn IdSource>, rate: f64) {
    let chance = rate * ROUND.as_secs_f64() / 3600.0;
    loop {
        tokio::time::sleep(ROUND).await;
        let Ok(targets) = dispatcher.look(|state, _| spot_targets(state)).await else { return };
        for target in targets {
            if fraction(&*ids) < chance
                && let Ok(Err(refusal)) = dispatcher.apply(Event::Interrupt(target)).await
            {
                tracing::debug!(%refusal, "what was to be interrupted has ended");
            }
        }
    }
}

/// A number from 0 to 1, by chance.
fn fraction(ids: &dyn IdSource) -> f64 {
    let mut bytes = [0; 4];
    ids.fill(&mut bytes);
    f64::from(u32::from_le_bytes(bytes)) / f64::from(u32::MAX)
}
