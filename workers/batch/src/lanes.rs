//! Which messages of a batch wait for each other.
//!
//! Those of one FIFO group are handled in their order, so that what comes again holds up what is behind it;
//! everything else runs beside each other.

use std::collections::HashMap;

use stoker_core::ids::ScopeKey;
use stoker_core::ports::ActRequest;
use stoker_core::situation::Trigger;
use stoker_intake::JobEvent;

use crate::event::Record;
use crate::message::{InstanceEvent, Message, Unreadable};

/// What is to be done for one message.
pub(crate) enum Task {
    Fold(Box<JobEvent>),
    Instance(InstanceEvent),
    /// It is a scope's turn.
    Act(ActRequest),
    /// The time has come to ask for an act: the message is of no group, so it is nobody's turn.
    Ask(ActRequest),
    /// It stays in its queue, and why.
    Keep(String),
    /// Nobody will ever be able to read it, and why.
    PutAside(String),
}

impl Task {
    /// The scope that is to be acted on.
    pub(crate) fn scope(&self) -> Option<ScopeKey> {
        match self {
            Self::Act(request) => Some(request.scope),
            _ => None,
        }
    }
}

pub(crate) struct Item {
    pub(crate) record: Record,
    pub(crate) task: Task,
}

#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) enum Lane {
    Group(String),
    Alone(usize),
}

/// All requests to act on a scope in a lane: one act answers them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Requests {
    pub(crate) trigger: Trigger,
    /// How often the one was delivered that was delivered most often.
    pub(crate) receives: u32,
}

pub(crate) fn requests(items: &[Item]) -> HashMap<ScopeKey, Requests> {
    let mut all: HashMap<ScopeKey, Requests> = HashMap::new();
    for item in items {
        let Task::Act(request) = &item.task else {
            continue;
        };
        let receives = item.record.receives();
        // What comes again takes up what was left.
        let trigger = if receives > 1 {
            Trigger::Tick
        } else {
            request.trigger
        };
        let known = all
            .entry(request.scope)
            .or_insert(Requests { trigger, receives });
        known.trigger = known.trigger.joined(trigger);
        known.receives = known.receives.max(receives);
    }
    all
}

/// Sorts messages into lanes.
pub(crate) fn lanes(records: Vec<Record>) -> Vec<(Lane, Vec<Item>)> {
    let mut lanes: Vec<(Lane, Vec<Item>)> = Vec::new();
    let mut places: HashMap<Lane, usize> = HashMap::new();
    for (place, record) in records.into_iter().enumerate() {
        let task = match Message::read(&record.body) {
            Ok(Message::Fold(event)) => Task::Fold(event),
            Ok(Message::Act(request)) if record.attributes.group.is_some() => Task::Act(request),
            Ok(Message::Act(request)) => Task::Ask(request),
            Ok(Message::Instance(event)) => Task::Instance(event),
            Err(error @ Unreadable::Newer(_)) => Task::Keep(error.to_string()),
            Err(Unreadable::Malformed(problem)) => Task::PutAside(problem),
        };
        let lane = match &record.attributes.group {
            Some(group) => Lane::Group(group.clone()),
            None => Lane::Alone(place),
        };
        let place = *places.entry(lane.clone()).or_insert_with(|| {
            lanes.push((lane, Vec::new()));
            lanes.len() - 1
        });
        lanes[place].1.push(Item { record, task });
    }
    lanes
}
