//! What runs all the time: folding, acting, and hearing of instances.

use std::hash::{BuildHasher as _, RandomState};
use std::sync::Arc;
use std::time::Duration;

use stoker_core::control::Acted;
use stoker_core::happening::{Decision, Happening, RetirementDecision};
use stoker_core::ids::{InstanceId, ScopeKey};
use stoker_core::journal::{Considered, RecordName, Recorder, Writing};
use stoker_core::plan::ScaleDownPlan;
use stoker_core::ports::{ActRequest, Clock, Ledger as _, Reporter};
use stoker_core::runner::{RunnerNews, RunnerPhase};
use stoker_core::situation::Trigger;
use stoker_core::time::Timestamp;
use stoker_intake::JobEvent;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::Parts;
use crate::fleet::{FleetEvent, SimulatedFleet};
use crate::github::SimulatedGitHub;
use crate::queue::{Delivery, Message, Turn};

/// How many messages are folded at once. One connection writes them, so more would only wait.
const FOLDED_AT_ONCE: usize = 2;

/// On how many scopes is acted at once: an act waits for policies, and one slow policy is not to hold
/// up every other scope.
const ACTED_AT_ONCE: usize = 8;

/// How long an act that failed waits: the ledger is in this process, so what keeps it lasts shortly.
const GIVEN_BACK_FOR: Duration = Duration::from_secs(1);

/// Spawns them all.
pub(super) fn spawn(
    tasks: &mut JoinSet<()>,
    parts: &Parts,
    events: UnboundedReceiver<FleetEvent>,
    stopped: &watch::Receiver<bool>,
) {
    for _ in 0..FOLDED_AT_ONCE {
        tasks.spawn(fold_messages(parts.clone(), stopped.clone()));
    }
    for _ in 0..ACTED_AT_ONCE {
        tasks.spawn(act_on_scopes(parts.clone(), stopped.clone()));
    }
    tasks.spawn(hear_of_instances(parts.clone(), events, stopped.clone()));
    tasks.spawn(tick(parts.clone(), stopped.clone()));
    tasks.spawn(scale_down(parts.clone(), stopped.clone()));
    if parts.journal.is_some() {
        tasks.spawn(keep_the_journal(parts.clone(), stopped.clone()));
    }
}

async fn fold_messages(parts: Parts, mut stopped: watch::Receiver<bool>) {
    loop {
        let delivery = tokio::select! {
            biased;
            _ = stopped.wait_for(|stop| *stop) => return,
            delivery = parts.intake.receive() => delivery,
        };
        match delivery {
            Ok(Delivery::Message(message)) => parts.fold(message).await,
            Ok(Delivery::PutAside(message)) => parts.trouble(
                None,
                format!(
                    "message {} failed {} times and is put aside; it stays in the ledger for you to look at",
                    message.id, message.receives
                ),
            ),
            Err(error) => {
                parts.trouble(None, format!("{error}; it is tried again"));
                sleep(GIVEN_BACK_FOR).await;
            }
        }
    }
}

async fn act_on_scopes(parts: Parts, mut stopped: watch::Receiver<bool>) {
    loop {
        let turn = tokio::select! {
            biased;
            _ = stopped.wait_for(|stop| *stop) => return,
            turn = parts.acts.turn() => turn,
        };
        parts.act(&turn).await;
    }
}

async fn hear_of_instances(
    parts: Parts,
    mut events: UnboundedReceiver<FleetEvent>,
    mut stopped: watch::Receiver<bool>,
) {
    loop {
        let event = tokio::select! {
            biased;
            _ = stopped.wait_for(|stop| *stop) => return,
            event = events.recv() => event,
        };
        match event {
            None => return,
            Some(FleetEvent::Online { instance, scope }) => {
                parts.hear(scope, &instance, RunnerNews::Online).await;
            }
            Some(FleetEvent::Gone { instance, scope }) => {
                if parts.hear(scope, &instance, RunnerNews::Gone).await {
                    // What it was there for may want another.
                    let folded = format!("gone-{instance}");
                    parts.ask(scope, folded, Trigger::Fleet, Duration::ZERO);
                }
            }
        }
    }
}

/// How often what is due is looked for.
const TICKS: Duration = Duration::from_secs(1);

async fn tick(parts: Parts, mut stopped: watch::Receiver<bool>) {
    loop {
        tokio::select! {
            biased;
            _ = stopped.wait_for(|stop| *stop) => return,
            () = sleep(TICKS) => {}
        }
        if let Err(error) = parts.control.tick().await {
            parts.trouble(None, format!("what is due was not looked for: {error}"));
        }
    }
}

/// How long one turn of scaling down takes at most, in seconds.
const SCALED_DOWN_WITHIN: u64 = 120;

async fn scale_down(parts: Parts, mut stopped: watch::Receiver<bool>) {
    loop {
        tokio::select! {
            biased;
            _ = stopped.wait_for(|stop| *stop) => return,
            () = sleep(parts.scale_down_every) => {}
        }
        let until = Timestamp(parts.clock.now().0 + SCALED_DOWN_WITHIN);
        let scaled = tokio::select! {
            biased;
            // What is begun is taken up by the next start.
            _ = stopped.wait_for(|stop| *stop) => return,
            scaled = parts.control.scale_down(until) => scaled,
        };
        if let Err(error) = scaled {
            parts.trouble(None, format!("no runner was retired: {error}"));
        }
    }
}

/// How often what happened is written to the journal.
const WRITTEN_EVERY: Duration = Duration::from_secs(1);

async fn keep_the_journal(parts: Parts, mut stopped: watch::Receiver<bool>) {
    loop {
        tokio::select! {
            biased;
            _ = stopped.wait_for(|stop| *stop) => return,
            () = sleep(WRITTEN_EVERY) => {}
        }
        let closed = parts.recorder.next(|| record_name(&*parts.clock));
        parts.write_down(closed).await;
    }
}

/// A name for a record that begins now.
pub(super) fn record_name(clock: &dyn Clock) -> RecordName {
    let part = RandomState::new().hash_one(std::process::id());
    RecordName::new(clock.now(), part)
}

impl Parts {
    /// A journal that can't be written stops nothing.
    pub(super) async fn write_down(&self, records: Vec<Writing>) {
        let Some(journal) = &self.journal else {
            return;
        };
        for writing in records {
            if let Err(error) = writing.write_to(journal).await {
                self.trouble(
                    None,
                    format!("what happened is not in the journal: {error}"),
                );
            }
        }
    }

    async fn fold(&self, message: Message) {
        match JobEvent::from_message(&message.body) {
            Ok(event) => {
                if let Err(error) = self.control.fold(&event).await {
                    // Not deleted, so it comes again.
                    self.trouble(None, format!("{error}; the event is folded again"));
                    return;
                }
            }
            Err(error) => self.report(&Happening::MessagePutAside {
                message: message.id.to_string(),
                problem: error.to_string(),
            }),
        }
        if let Err(error) = self.intake.delete(message.id).await {
            self.trouble(None, format!("{error}; the event is folded again"));
        }
    }

    async fn act(&self, turn: &Turn) {
        match self.control.act(turn.scope, turn.trigger).await {
            Ok(Acted::Done) => self.acts.finish(turn),
            Ok(Acted::TryAgain { after }) => {
                self.acts.finish(turn);
                let again = format!("again-{}", turn.number());
                let pause = Duration::from_secs(u64::from(after)).min(self.act_again);
                self.ask(turn.scope, again, Trigger::Tick, pause);
            }
            Err(error) => {
                let given_up = self.acts.give_back(turn, GIVEN_BACK_FOR);
                let then = if given_up {
                    "too often now: the next event of this scope starts the next act"
                } else {
                    "it is tried again"
                };
                self.trouble(Some(turn.scope), format!("an act failed: {error}; {then}"));
            }
        }
    }

    /// Folds news of an instance. Whether its runner was alive until then.
    async fn hear(&self, scope: ScopeKey, instance: &InstanceId, news: RunnerNews) -> bool {
        let mut tried = 0;
        loop {
            let heard = async {
                let known = self.ledger.runner(instance).await?;
                self.control.fold_runner(instance, &news).await?;
                Ok::<_, stoker_core::control::ControlError>(
                    known.is_some_and(|runner| runner.phase != RunnerPhase::Ended),
                )
            };
            match heard.await {
                Ok(alive) => return alive,
                Err(error) if tried < 5 => {
                    tried += 1;
                    self.trouble(
                        Some(scope),
                        format!("news of {instance}: {error}; tried again"),
                    );
                    sleep(GIVEN_BACK_FOR).await;
                }
                Err(error) => {
                    self.trouble(Some(scope), format!("news of {instance} is lost: {error}"));
                    return false;
                }
            }
        }
    }

    fn ask(&self, scope: ScopeKey, folded: String, trigger: Trigger, delay: Duration) {
        let request = ActRequest {
            scope,
            folded,
            trigger,
        };
        self.acts.ask_later(&request, delay);
    }

    fn report(&self, happening: &Happening) {
        self.reporter.report(self.clock.now(), happening);
    }

    fn trouble(&self, scope: Option<ScopeKey>, problem: String) {
        self.report(&Happening::Trouble { scope, problem });
    }
}

/// Passes on what happened, and lets follow from it what follows by itself: an instance whose runner has
/// ended shuts down, and GitHub sees what its runners do.
pub(super) struct Consequences {
    pub(super) fleet: SimulatedFleet,
    pub(super) github: Arc<SimulatedGitHub>,
    pub(super) told: Arc<Recorder>,
}

impl Reporter for Consequences {
    fn report(&self, at: Timestamp, happening: &Happening) {
        self.told.report(at, happening);
        if let Happening::RunnerChanged {
            runner,
            instance,
            phase,
            ..
        } = happening
        {
            self.github.follow(None, runner, phase);
            if *phase == RunnerPhase::Ended {
                self.fleet.shut_down(instance);
            }
        }
    }

    fn decided(&self, at: Timestamp, decision: &Decision, considered: &Considered<'_>) {
        self.told.decided(at, decision, considered);
    }

    fn decided_retirement(
        &self,
        at: Timestamp,
        decision: &RetirementDecision,
        considered: &Considered<'_, ScaleDownPlan>,
    ) {
        self.told.decided_retirement(at, decision, considered);
    }

    fn record(&self) -> Option<RecordName> {
        self.told.record()
    }
}
