//! Transactions, what became of them, and writes of one item that meet one.

use std::time::Duration;

use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::types::{CancellationReason, TransactWriteItem};
use stoker_core::ports::LedgerError;

use super::{DynamoLedger, random, unavailable};
use crate::problem;

/// How many items a transaction takes.
pub(super) const ITEMS_AT_ONCE: usize = 100;

/// How often a write is tried that met a transaction on the same item, or a transaction that met a busy
/// partition: as often as the SDK tries what else is refused by a busy one, for it does not try these again
/// by itself. Most are over within milliseconds.
const TRIES: u32 = 8;

/// The first pause between two tries; each further one is twice as long, and of each a random part is
/// taken, so that two that met do not meet again.
const FIRST_PAUSE: Duration = Duration::from_millis(40);

/// What is left of the tries of a write.
struct Patience {
    tries: u32,
    pause: Duration,
}

impl Patience {
    fn new() -> Self {
        Self {
            tries: TRIES,
            pause: FIRST_PAUSE,
        }
    }

    /// Waits until it is time to try again; not if that was the last try.
    async fn allows_another(&mut self) -> bool {
        self.tries -= 1;
        if self.tries == 0 {
            return false;
        }
        tokio::time::sleep(random::part_of(self.pause)).await;
        self.pause *= 2;
        true
    }
}

/// A write of one item, tried again while a transaction on it is under way: DynamoDB refuses it then.
pub(super) async fn singly<T, E, Sent>(send: impl Fn() -> Sent + Send) -> Result<T, SdkError<E>>
where
    E: ProvideErrorMetadata,
    Sent: Future<Output = Result<T, SdkError<E>>>,
{
    let mut patience = Patience::new();
    loop {
        match send().await {
            Err(error)
                if problem::code(&error) == Some("TransactionConflictException")
                    && patience.allows_another().await => {}
            answer => return answer,
        }
    }
}

/// What became of a transaction.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Transacted {
    /// All of it is written.
    Written,
    /// Nothing is written: the conditions at these positions do not hold.
    Unmet(Vec<usize>),
}

/// Why a transaction was cancelled.
enum Cancelled {
    Unmet(Vec<usize>),
    /// It met another transaction.
    Met,
    /// DynamoDB was too busy.
    Busy,
    Refused,
}

impl DynamoLedger {
    /// Writes all of the items or none. `what` completes "the ledger could not …".
    pub(super) async fn transact(
        &self,
        what: &str,
        items: Vec<TransactWriteItem>,
    ) -> Result<Transacted, LedgerError> {
        let mut patience = Patience::new();
        loop {
            let answer = self
                .client
                .transact_write_items()
                .set_transact_items(Some(items.clone()))
                .send()
                .await;
            let Err(error) = answer else {
                return Ok(Transacted::Written);
            };
            match why(&error) {
                Cancelled::Unmet(positions) => return Ok(Transacted::Unmet(positions)),
                Cancelled::Met | Cancelled::Busy if patience.allows_another().await => {}
                Cancelled::Met => return Err(LedgerError::Conflict(what.to_owned())),
                Cancelled::Busy | Cancelled::Refused => return Err(unavailable(what, &error)),
            }
        }
    }
}

fn why(error: &SdkError<TransactWriteItemsError>) -> Cancelled {
    match error.as_service_error() {
        Some(TransactWriteItemsError::TransactionCanceledException(cancelled)) => {
            reason(cancelled.cancellation_reasons())
        }
        // The first attempt at it, whose answer was lost, is still under way.
        Some(TransactWriteItemsError::TransactionInProgressException(_)) => Cancelled::Met,
        _ => Cancelled::Refused,
    }
}

fn reason(reasons: &[CancellationReason]) -> Cancelled {
    let said = |code: &str| reasons.iter().any(|reason| reason.code() == Some(code));
    if said("ConditionalCheckFailed") {
        let unmet = reasons
            .iter()
            .enumerate()
            .filter(|(_, reason)| reason.code() == Some("ConditionalCheckFailed"))
            .map(|(position, _)| position)
            .collect();
        Cancelled::Unmet(unmet)
    } else if said("TransactionConflict") {
        Cancelled::Met
    } else if said("ThrottlingError") || said("ProvisionedThroughputExceeded") {
        Cancelled::Busy
    } else {
        Cancelled::Refused
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reasons(codes: &[&str]) -> Cancelled {
        let reasons: Vec<_> = codes
            .iter()
            .map(|code| CancellationReason::builder().code(*code).build())
            .collect();
        reason(&reasons)
    }

    #[test]
    fn a_failed_condition_is_an_answer_even_beside_a_conflict() {
        let why = reasons(&["None", "ConditionalCheckFailed", "TransactionConflict"]);
        assert!(matches!(why, Cancelled::Unmet(positions) if positions == [1]));
    }

    #[test]
    fn a_conflict_and_a_busy_partition_are_tried_again() {
        assert!(matches!(
            reasons(&["None", "TransactionConflict"]),
            Cancelled::Met
        ));
        assert!(matches!(reasons(&["ThrottlingError"]), Cancelled::Busy));
        assert!(matches!(reasons(&["ValidationError"]), Cancelled::Refused));
    }
}
