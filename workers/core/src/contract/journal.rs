//! Claims about journals.

use super::{Breaches, Held, Tried, ensure, same};
use crate::journal::RecordName;
use crate::ports::JournalStore;
use crate::time::Timestamp;

/// Tries every claim on a journal. `now` keeps the records apart from those of an earlier run.
///
/// # Errors
/// The claims that do not hold.
pub async fn check_journal(journal: &dyn JournalStore, now: Timestamp) -> Result<(), Breaches> {
    let mut tried = Tried::of("journal");
    let held = what_was_never_written_is_none(journal, now).await;
    tried.note("what_was_never_written_is_none", held);
    let held = a_record_is_read_back_to_the_byte(journal, now).await;
    tried.note("a_record_is_read_back_to_the_byte", held);
    let held = a_record_that_is_written_again_has_what_was_written_last(journal, now).await;
    tried.note(
        "a_record_that_is_written_again_has_what_was_written_last",
        held,
    );
    let held = records_of_one_second_are_apart(journal, now).await;
    tried.note("records_of_one_second_are_apart", held);
    tried.result()
}

async fn what_was_never_written_is_none(journal: &dyn JournalStore, now: Timestamp) -> Held {
    let found = journal.read(&RecordName::new(now, 1)).await?;
    same("the record", &found, &None)
}

async fn a_record_is_read_back_to_the_byte(journal: &dyn JournalStore, now: Timestamp) -> Held {
    let name = RecordName::new(now, 2);
    let bytes: Vec<u8> = (0..=255).cycle().take(100_000).collect();
    journal.write(&name, bytes.clone()).await?;
    let found = journal.read(&name).await?;
    ensure(found == Some(bytes), || "other bytes were read".to_owned())
}

async fn a_record_that_is_written_again_has_what_was_written_last(
    journal: &dyn JournalStore,
    now: Timestamp,
) -> Held {
    let name = RecordName::new(now, 3);
    journal.write(&name, b"one".to_vec()).await?;
    journal.write(&name, b"one and two".to_vec()).await?;
    let found = journal.read(&name).await?;
    same("the record", &found, &Some(b"one and two".to_vec()))
}

async fn records_of_one_second_are_apart(journal: &dyn JournalStore, now: Timestamp) -> Held {
    for part in [4_u64, u64::MAX] {
        let name = RecordName::new(now, part);
        journal.write(&name, part.to_be_bytes().to_vec()).await?;
    }
    let found = journal.read(&RecordName::new(now, 4)).await?;
    same("the first", &found, &Some(4_u64.to_be_bytes().to_vec()))
}
