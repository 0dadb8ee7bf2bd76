//! What happens during an invocation is one record of the journal.

use std::hash::{BuildHasher as _, RandomState};
use std::sync::Arc;

use stoker_core::journal::{RecordName, Recorder};
use stoker_core::ports::{Clock as _, JournalStore, Reporter};
use stoker_lambda::SystemClock;
use stoker_lambda::metric::Measured;

use crate::metric::JOURNAL_FAILURES;
use crate::report::{Lines, REQUEST};

/// Writes the records.
pub struct Records {
    /// What is told to it is in the open record.
    recorder: Arc<Recorder>,
    journal: Arc<dyn JournalStore>,
    pub(crate) lines: Lines,
}

impl Records {
    /// Those that go to that journal, and what happens to those lines besides.
    pub fn new(lines: Lines, journal: Arc<dyn JournalStore>) -> Self {
        Self {
            recorder: Arc::new(Recorder::new(Arc::new(lines.clone()))),
            journal,
            lines,
        }
    }

    /// Who is to be told what happens.
    pub fn reporter(&self) -> Arc<dyn Reporter> {
        Arc::<Recorder>::clone(&self.recorder) as Arc<dyn Reporter>
    }

    /// Does what an invocation is there for, and writes down what happened. `request` is the Lambda's id of it.
    pub async fn during<T>(&self, request: String, work: impl Future<Output = T>) -> T {
        // Told apart from all others of this second, of this process and others.
        let part = RandomState::new().hash_one(&request);
        let _nothing = self
            .recorder
            .next(|| RecordName::new(SystemClock.now(), part));
        let answer = REQUEST.scope(request, work).await;
        self.write_down().await;
        answer
    }

    /// A journal that can't be written stops nothing: that is counted.
    async fn write_down(&self) {
        for writing in self.recorder.end() {
            if let Err(error) = writing.write_to(self.journal.as_ref()).await {
                tracing::error!(problem = %error, "what happened is not in the journal");
                let failed = Measured::count(JOURNAL_FAILURES, 1);
                self.lines.measure(SystemClock.now(), &failed);
            }
        }
    }
}
