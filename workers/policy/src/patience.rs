//! How long a decision waits for the store, and that it does not wait for the same answer twice.
//!
//! A store that hangs is asked for tens of seconds: an attempt of an adapter's has ten, and there are
//! three. No job waits for that. What is not there in time goes on being read, once for all who want it,
//! and the decision is taken without: by the document that is here, by what decided before, or by the
//! built-in rules.

use std::time::Duration;

use stoker_core::ports::PolicyStoreError;
use stoker_core::time::Timestamp;
use tokio::time::Instant;

use crate::failure::Failure;

/// How long a decision waits for the document: longer than S3 ever takes on a good day, short enough that
/// jobs do not wait for a store that is down, and a fifth of what a Lambda has to start.
pub(crate) const DOCUMENT: Duration = Duration::from_secs(2);

/// How long a decision waits for all that the document names, together: machine code may be tens of
/// megabytes, and a job that waits for an instance to boot has these seconds too.
const OBJECTS: Duration = Duration::from_secs(5);

/// For how many seconds nobody waits again for what was waited for in vain: so long that a process which
/// decides all the time is seldom held up, and no longer than a document decides unconfirmed by default.
const LEFT_TO_ITSELF: u32 = 15;

/// By how many seconds the clocks of two decisions may be in the wrong order.
const OUT_OF_ORDER: u32 = 1;

/// What is left of a decision's patience with what the document names.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Patience {
    pub(crate) now: Timestamp,
    /// None: without end.
    pub(crate) until: Option<Instant>,
}

impl Patience {
    /// Of whoever keeps no decision waiting.
    pub(crate) const ENDLESS: Self = Self {
        now: Timestamp(0),
        until: None,
    };

    /// Of a decision that has not waited yet.
    pub(crate) fn of_a_decision(now: Timestamp) -> Self {
        Self {
            now,
            until: Some(Instant::now() + OBJECTS),
        }
    }

    /// Of a decision that has waited enough: it takes what is there.
    pub(crate) fn spent(now: Timestamp) -> Self {
        Self {
            now,
            until: Some(Instant::now()),
        }
    }
}

/// Whether something was waited for in vain so lately that nobody is to wait for it again.
pub(crate) fn is_left_to_itself(in_vain: Option<Timestamp>, now: Timestamp) -> bool {
    in_vain.is_some_and(|then| since(then, now) < LEFT_TO_ITSELF)
}

/// How many seconds ago that was. Of two decisions at once the one that began earlier may come later; a
/// clock that went back further tells nothing.
pub(crate) fn since(then: Timestamp, now: Timestamp) -> u32 {
    if now.age(then) > OUT_OF_ORDER {
        u32::MAX
    } else {
        then.age(now)
    }
}

/// The store neither gives what is at that path nor says that it can't.
pub(crate) fn not_yet(path: &str) -> Failure {
    Failure::Store(PolicyStoreError {
        path: path.to_owned(),
        problem: "it has not answered yet".to_owned(),
    })
}
