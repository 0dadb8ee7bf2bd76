//! What is due is asked to be acted on.

use super::{Control, ControlError};
use crate::ids::ScopeKey;
use crate::ports::{ActRequest, Due};
use crate::situation::Trigger;
use crate::time::Timestamp;

/// How many of what is due one tick takes: the next one, a minute later, takes the rest.
const DUE_AT_ONCE: usize = 1_000;

/// What a tick came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Ticked {
    /// How many scopes are to be acted on.
    pub due: usize,
}

impl Control {
    /// Asks for acts on the scopes that are due: what could not be done in time, what is deferred until now,
    /// and what an act that died left.
    ///
    /// # Errors
    /// If the ledger or the queue did not answer: what was not asked for stays due.
    pub async fn tick(&self) -> Result<Ticked, ControlError> {
        let now = self.now();
        let all = self.ports.ledger.due(now, DUE_AT_ONCE).await?;
        let mut asked = std::collections::BTreeSet::new();
        for due in &all {
            if asked.insert(due.scope) {
                self.ask_due(due, now).await?;
            }
            // Asked first: what is asked for twice is done once.
            self.ports.ledger.drop_due(due).await?;
        }
        Ok(Ticked { due: asked.len() })
    }

    /// Has a scope acted on in so many seconds, by the tick after that.
    ///
    /// # Errors
    /// If the ledger did not note it.
    pub async fn act_later(&self, scope: ScopeKey, seconds: u32) -> Result<(), ControlError> {
        let at = Timestamp(self.now().0 + u64::from(seconds));
        self.ports.ledger.put_due(&Due { at, scope }).await?;
        Ok(())
    }

    async fn ask_due(&self, due: &Due, now: Timestamp) -> Result<(), ControlError> {
        let request = ActRequest {
            scope: due.scope,
            // Of this tick: a queue that swallows what was asked before must not take it for what an earlier
            // tick, which died before it took that off the list, had asked.
            folded: format!("tick-{}", now.0),
            trigger: Trigger::Tick,
        };
        self.ports.acts.ask(&request).await?;
        Ok(())
    }
}
