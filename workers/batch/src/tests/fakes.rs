//! What a handler is given in its tests: each notes what is asked of it, and fails as it is told.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};

use stoker_core::ports::LedgerError;

use super::super::*;

/// A clock that stands still.
pub(super) struct Noon;

impl Clock for Noon {
    fn now(&self) -> stoker_core::time::Timestamp {
        stoker_core::time::Timestamp(1_800_000_000)
    }
}

/// A control plane that notes what it is asked, and fails as it is told.
#[derive(Default)]
pub(super) struct Noting {
    pub(super) done: Mutex<Vec<String>>,
    pub(super) asked: Mutex<Vec<ActRequest>>,
    pub(super) triggers: Mutex<Vec<Trigger>>,
    pub(super) try_again: Vec<&'static str>,
    pub(super) fails: Vec<&'static str>,
    pub(super) panics: Vec<&'static str>,
    pub(super) hangs: Vec<&'static str>,
    pub(super) takes: Duration,
}

impl Noting {
    async fn note(&self, what: String) -> Result<Acted, ControlError> {
        tokio::time::sleep(self.takes).await;
        let is = |list: &[&str]| list.contains(&what.as_str());
        assert!(!is(&self.panics), "told to");
        if is(&self.hangs) {
            std::future::pending::<()>().await;
        }
        let fails = is(&self.fails);
        let again = is(&self.try_again);
        self.done.lock().unwrap().push(what);
        if fails {
            return Err(LedgerError::Conflict("job".to_owned()).into());
        }
        Ok(if again {
            Acted::TryAgain { after: 7 }
        } else {
            Acted::Done
        })
    }
}

#[async_trait]
impl Steer for Noting {
    async fn fold(&self, event: &JobEvent) -> Result<Option<ActRequest>, ControlError> {
        self.note(event.name.clone()).await?;
        let scope = format!("org-{}", event.owner.id);
        Ok(Some(ActRequest {
            scope: scope.parse().unwrap(),
            folded: event.delivery.to_string(),
            trigger: Trigger::Jobs,
        }))
    }

    async fn fold_instance(
        &self,
        instance: &InstanceId,
        news: &RunnerNews,
        event: &str,
    ) -> Result<Option<ActRequest>, ControlError> {
        let what = format!("{instance} {news:?} {event}");
        self.note(what).await?;
        Ok(None)
    }

    async fn ask(&self, request: &ActRequest) -> Result<(), ControlError> {
        if self.fails.contains(&"asking") {
            return Err(LedgerError::Conflict("queue".to_owned()).into());
        }
        self.asked.lock().unwrap().push(request.clone());
        Ok(())
    }

    async fn act(&self, scope: ScopeKey, trigger: Trigger) -> Result<Acted, ControlError> {
        self.triggers.lock().unwrap().push(trigger);
        self.note(scope.to_string()).await
    }

    async fn act_later(&self, scope: ScopeKey, seconds: u32) -> Result<(), ControlError> {
        self.note(format!("{scope} in {seconds}")).await.map(|_| ())
    }

    async fn tick(&self) -> Result<(), ControlError> {
        self.note("tick".to_owned()).await.map(|_| ())
    }

    async fn rebuild(&self) -> Result<Rebuilt, ControlError> {
        let rebuilt = self.note("rebuild".to_owned()).await;
        rebuilt.map(|_| Rebuilt::default())
    }
}

/// Queues that note what becomes of messages.
#[derive(Default)]
pub(super) struct Noted {
    pub(super) delayed: Mutex<Vec<(String, u32)>>,
    pub(super) aside: Mutex<Vec<(String, String)>>,
    pub(super) full: bool,
    /// How often what was put aside was to be handled once more.
    pub(super) redriven: AtomicU32,
}

#[async_trait]
impl Queues for Noted {
    async fn delay(&self, record: &Record, seconds: u32) -> Result<(), String> {
        let delayed = (record.id.clone(), seconds);
        self.delayed.lock().unwrap().push(delayed);
        Ok(())
    }

    async fn redrive(&self) -> Result<Redriven, String> {
        self.redriven.fetch_add(1, Ordering::Relaxed);
        Ok(Redriven::default())
    }

    async fn put_aside(&self, record: &Record, _: Aside, reason: &str) -> Result<(), String> {
        if self.full {
            return Err("it is down".to_owned());
        }
        let aside = (record.id.clone(), reason.to_owned());
        self.aside.lock().unwrap().push(aside);
        Ok(())
    }
}

pub(super) struct Silent;

impl Reporter for Silent {
    fn report(&self, _: stoker_core::time::Timestamp, _: &Happening) {}
}
