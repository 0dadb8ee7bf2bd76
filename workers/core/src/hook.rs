//! The deliveries of the App's webhook: how far they were read, which failed, and which GitHub is asked to make
//! once more.
//!
//! One small item of the ledger. GitHub lists deliveries newest first and keeps them for three days. Each look
//! reads from the newest down to where the one before began; what it does not get to is a gap that the next
//! looks close.

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use stoker_intake::DeliveryId;

use crate::ports::{Deliveries, Delivery};
use crate::time::Timestamp;

/// For how long GitHub keeps deliveries, in seconds ("Redelivering webhooks").
const KEPT_FOR: u32 = 3 * 24 * 3_600;

/// How many deliveries are remembered of each kind: the item stays far below the 400 KB that DynamoDB takes.
/// Polling finds what does not fit.
const REMEMBERED: usize = 2_000;

/// How long after it was made GitHub may list an attempt at the latest, in seconds: it waits ten for an answer.
const LISTED_LATE: u64 = 120;

/// How often one is asked for while the newest failed, in seconds.
const PROBED_EVERY: u32 = 300;

/// How many gaps there may be; the oldest is forgotten.
const GAPS: usize = 8;

/// A delivery that failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failed {
    /// When.
    pub at: Timestamp,
    /// GitHub's id of the attempt.
    pub id: u64,
    /// It told of a job that waits.
    pub work: bool,
    /// Which webhook, as [`mark`] has it.
    mark: String,
}

/// Deliveries that were not read yet: from a page on, down to an attempt that was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Gap {
    cursor: String,
    until: u64,
    /// Since when.
    at: Timestamp,
}

/// What is known of the deliveries.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Hook {
    /// The newest attempt that was read; 0: none.
    seen: u64,
    /// When that was made. What GitHub lists late is read all the same.
    seen_at: Timestamp,
    /// Whether it was accepted: what fails now would fail again.
    is_well: bool,
    /// When one was asked for last to see whether it is accepted now.
    probed_at: Timestamp,
    gaps: Vec<Gap>,
    /// In the order of their time.
    failed: Vec<Failed>,
    /// Webhooks that are not to be asked for (again): they were, or came after all.
    done: Vec<(Timestamp, String)>,
}

/// What a look has read.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Look {
    /// The newest attempt that had been read before.
    from: u64,
    /// The gap that was read on, if any.
    gap: Option<String>,
    read: Vec<Delivery>,
    /// Where it stopped, if there is more.
    next: Option<String>,
    has_read: bool,
}

impl Look {
    /// Takes a page. The cursor of the next one that is wanted; none: all is read.
    pub fn page(&mut self, page: Deliveries, hook: &Hook, now: Timestamp) -> Option<String> {
        let until = self.until(hook);
        let is_over = page
            .deliveries
            .iter()
            .any(|one| one.id <= until || one.at.age(now) > KEPT_FOR);
        let late = Timestamp(hook.seen_at.0.saturating_sub(LISTED_LATE));
        let new = page.deliveries.into_iter();
        let new = new.filter(|one| one.id > until || one.at >= late);
        self.read.extend(new);
        self.has_read = true;
        self.next = page.next.filter(|_| !is_over);
        self.next.clone()
    }

    /// Whether it has read a page.
    pub fn has_read(&self) -> bool {
        self.has_read
    }

    fn until(&self, hook: &Hook) -> u64 {
        let gap = self.gap.as_ref();
        let gap = gap.and_then(|cursor| hook.gaps.iter().find(|one| one.cursor == *cursor));
        gap.map_or(self.from, |gap| gap.until)
    }
}

impl Hook {
    /// A look at what is new.
    pub fn look(&self) -> Look {
        Look {
            from: self.seen,
            ..Look::default()
        }
    }

    /// A look into the newest gap, and where it begins; none: there is no gap.
    pub fn look_back(&self) -> Option<(Look, String)> {
        let gap = self.gaps.last()?;
        let look = Look {
            gap: Some(gap.cursor.clone()),
            ..Look::default()
        };
        Some((look, gap.cursor.clone()))
    }

    /// Notes what a look has read. Noted twice, or beside another look, it is the same.
    pub fn note(&mut self, look: &Look, now: Timestamp) {
        let until = look.until(self);
        let newest = look.read.iter().max_by_key(|one| one.id);
        if let Some(newest) = newest.filter(|newest| newest.id > self.seen) {
            (self.seen, self.is_well) = (newest.id, newest.is_accepted());
            self.seen_at = newest.at;
        }
        if let Some(cursor) = &look.gap {
            self.gaps.retain(|gap| gap.cursor != *cursor);
        }
        if let Some(cursor) = &look.next {
            let gap = Gap {
                cursor: cursor.clone(),
                until,
                at: now,
            };
            if self.gaps.iter().all(|one| one.cursor != gap.cursor) {
                self.gaps.push(gap);
            }
            if self.gaps.len() > GAPS {
                self.gaps.remove(0);
            }
        }
        for delivery in look.read.iter().filter(|one| one.is_of_a_job()) {
            self.note_one(delivery);
        }
        self.forget(now);
    }

    fn note_one(&mut self, delivery: &Delivery) {
        let mark = mark(&delivery.guid);
        let is_done = self.done.iter().any(|(_, done)| *done == mark);
        if delivery.is_accepted() {
            self.failed.retain(|one| one.mark != mark);
            // Its first attempt, which failed, is read later.
            if delivery.redelivery && !is_done {
                self.done.push((delivery.at, mark));
            }
        } else if !is_done && self.failed.iter().all(|one| one.mark != mark) {
            let failed = Failed {
                at: delivery.at,
                id: delivery.id,
                work: delivery.is_work(),
                mark,
            };
            let place = self.failed.partition_point(|one| one.at <= failed.at);
            self.failed.insert(place, failed);
        }
    }

    /// Drops what GitHub has forgotten, and what there is no room for: news before work.
    fn forget(&mut self, now: Timestamp) {
        self.failed.retain(|one| one.at.age(now) <= KEPT_FOR);
        self.done.retain(|(at, _)| at.age(now) <= KEPT_FOR);
        self.gaps.retain(|gap| gap.at.age(now) <= KEPT_FOR);
        while self.failed.len() > REMEMBERED {
            let news = self.failed.iter().rposition(|one| !one.work);
            self.failed.remove(news.unwrap_or(self.failed.len() - 1));
        }
        let surplus = self.done.len().saturating_sub(REMEMBERED);
        self.done.drain(..surplus);
    }

    /// How many wait to be asked for. While the newest delivery failed only one now and then, to see whether it is
    /// accepted by now.
    pub fn wanted(&self, now: Timestamp) -> u32 {
        let waiting = u32::try_from(self.failed.len()).unwrap_or(u32::MAX);
        match (self.is_well, self.probed_at.age(now) >= PROBED_EVERY) {
            (true, _) => waiting,
            (false, true) => waiting.min(1),
            (false, false) => 0,
        }
    }

    /// Takes some of them, jobs that wait first and of those the oldest: each webhook once, but for the one that
    /// is to show whether the webhook is up again.
    pub fn take(&mut self, most: u32, now: Timestamp) -> Vec<Failed> {
        let most = most.min(self.wanted(now));
        self.failed.sort_by_key(|one| (!one.work, one.at));
        if !self.is_well && most > 0 {
            self.probed_at = now;
            let probe: Vec<Failed> = self.failed.iter().take(1).cloned().collect();
            self.failed.sort_by_key(|one| one.at);
            return probe;
        }
        let most = usize::try_from(most).unwrap_or(usize::MAX);
        let taken: Vec<Failed> = self.failed.drain(..most.min(self.failed.len())).collect();
        self.failed.sort_by_key(|one| one.at);
        let done = taken.iter().map(|one| (one.at, one.mark.clone()));
        self.done.extend(done);
        taken
    }

    /// One that was taken could not be asked for: it has its turn again.
    pub fn put_back(&mut self, failed: &Failed) {
        self.done.retain(|(_, mark)| *mark != failed.mark);
        if self.failed.iter().all(|one| one.mark != failed.mark) {
            self.failed.push(failed.clone());
            self.failed.sort_by_key(|one| one.at);
        }
    }
}

/// A webhook, told from others by less than its GUID takes.
fn mark(guid: &DeliveryId) -> String {
    let digest = Sha256::digest(guid.as_str());
    hex::encode(&digest[..8])
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_800_000_000);

    fn delivery(id: u64, guid: &str, status: u16) -> Delivery {
        Delivery {
            id,
            guid: guid.parse().unwrap(),
            at: Timestamp(NOW.0 - 1_000 + id),
            redelivery: false,
            status,
            event: "workflow_job".to_owned(),
            action: Some("queued".to_owned()),
        }
    }

    fn page(deliveries: &[Delivery], next: Option<&str>) -> Deliveries {
        Deliveries {
            deliveries: deliveries.to_vec(),
            next: next.map(str::to_owned),
        }
    }

    fn read(hook: &mut Hook, pages: &[Deliveries]) -> bool {
        let mut look = hook.look();
        let mut wants_more = false;
        for page in pages {
            wants_more = look.page(page.clone(), hook, NOW).is_some();
        }
        hook.note(&look, NOW);
        wants_more
    }

    fn taken(hook: &mut Hook) -> Vec<u64> {
        hook.take(100, NOW).iter().map(|one| one.id).collect()
    }

    #[test]
    fn each_webhook_that_failed_is_asked_for_once_oldest_work_first() {
        let mut hook = Hook::default();
        let news = Delivery {
            action: Some("completed".to_owned()),
            ..delivery(1, "n", 502)
        };
        let other = Delivery {
            event: "push".to_owned(),
            ..delivery(4, "p", 502)
        };
        let all = [
            delivery(5, "e", 202),
            other,
            delivery(3, "c", 0),
            delivery(2, "b", 500),
            news,
        ];
        assert!(!read(&mut hook, &[page(&all, None)]));
        assert_eq!(hook.wanted(NOW), 3);
        assert_eq!(hook.take(1, NOW)[0].id, 2);
        assert_eq!(taken(&mut hook), [3, 1]);
        // Even where GitHub shows them again, or the second attempt has failed too.
        let again = Delivery {
            redelivery: true,
            ..delivery(6, "b", 500)
        };
        read(
            &mut hook,
            &[page(&[delivery(7, "g", 202), again], Some("x"))],
        );
        assert!(taken(&mut hook).is_empty());
    }

    #[test]
    fn what_came_at_a_second_attempt_is_not_asked_for() {
        let mut hook = Hook::default();
        let second = Delivery {
            redelivery: true,
            ..delivery(9, "a", 202)
        };
        // Newest first: the attempt that failed is read after the one that did not.
        read(&mut hook, &[page(&[second, delivery(1, "a", 502)], None)]);
        assert_eq!(hook.wanted(NOW), 0);
    }

    #[test]
    fn while_the_newest_fails_one_is_asked_for_now_and_then() {
        let mut hook = Hook::default();
        read(
            &mut hook,
            &[page(&[delivery(2, "b", 502), delivery(1, "a", 502)], None)],
        );
        assert_eq!(hook.wanted(NOW), 1);
        assert_eq!(taken(&mut hook), [1]);
        assert_eq!(hook.wanted(Timestamp(NOW.0 + 299)), 0);
        // The same: it was not accepted.
        let again = hook.take(9, Timestamp(NOW.0 + 300));
        assert_eq!((again.len(), again[0].id), (1, 1));
        read(&mut hook, &[page(&[delivery(3, "c", 202)], Some("more"))]);
        assert_eq!(taken(&mut hook), [1, 2]);
    }

    #[test]
    fn what_could_not_be_asked_for_has_its_turn_again() {
        let mut hook = Hook::default();
        read(
            &mut hook,
            &[page(&[delivery(2, "b", 202), delivery(1, "a", 502)], None)],
        );
        let one = hook.take(1, NOW).remove(0);
        assert_eq!(hook.wanted(NOW), 0);
        hook.put_back(&one);
        assert_eq!(taken(&mut hook), [1]);
    }

    #[test]
    fn what_github_lists_late_is_read_all_the_same() {
        let mut hook = Hook::default();
        read(&mut hook, &[page(&[delivery(10, "a", 202)], None)]);
        // It timed out, and was numbered when it began.
        read(
            &mut hook,
            &[page(&[delivery(11, "c", 202), delivery(9, "b", 0)], None)],
        );
        assert_eq!(taken(&mut hook), [9]);
    }

    #[test]
    fn what_was_not_got_to_is_read_later_and_nothing_twice() {
        let mut hook = Hook::default();
        read(&mut hook, &[page(&[delivery(10, "a", 202)], None)]);
        // Two pages are all that there is time for.
        let first = page(
            &[delivery(40, "n", 202), delivery(39, "m", 502)],
            Some("c38"),
        );
        let second = page(&[delivery(38, "l", 502)], Some("c37"));
        assert!(read(&mut hook, &[first, second]));
        let (mut look, cursor) = hook.look_back().unwrap();
        assert_eq!(cursor, "c37");
        let third = page(
            &[delivery(37, "k", 502), delivery(10, "a", 202)],
            Some("c9"),
        );
        assert_eq!(look.page(third, &hook, NOW), None);
        hook.note(&look, NOW);
        assert_eq!(hook.look_back(), None);
        assert_eq!(taken(&mut hook), [37, 38, 39]);
        assert!(!read(
            &mut hook,
            &[page(&[delivery(40, "n", 202)], Some("c39"))]
        ));
    }

    #[test]
    fn the_item_stays_small_and_work_goes_before_news() {
        let mut hook = Hook::default();
        let all: Vec<Delivery> = (1..=5_000_u64)
            .map(|id| Delivery {
                action: Some(if id % 5 == 0 { "queued" } else { "completed" }.to_owned()),
                at: Timestamp(NOW.0 - 6_000 + id),
                ..delivery(id, &format!("guid-{id}"), 502)
            })
            .rev()
            .collect();
        read(
            &mut hook,
            &[page(&[delivery(9_999, "z", 202)], None), page(&all, None)],
        );
        assert_eq!(hook.wanted(NOW), 2_000);
        assert_eq!(hook.failed.iter().filter(|one| one.work).count(), 1_000);
        let taken = hook.take(5_000, NOW);
        assert_eq!(taken.len(), 2_000);
        let written = serde_json::to_string(&hook).unwrap();
        assert!(written.len() < 300_000, "{}", written.len());
    }
}
