//! The queues, as a process of a history has them.

use async_trait::async_trait;
use stoker_batch::{Aside, Queues, Record, Redriven};
use stoker_core::ports::{ActQueue, ActQueueError, ActRequest};
use stoker_core::time::Timestamp;

use crate::ports::{Meets, Ports};
use crate::world::Message;

#[async_trait]
impl ActQueue for Ports {
    async fn ask(&self, request: &ActRequest) -> Result<(), ActQueueError> {
        let failed = || ActQueueError {
            scope: request.scope,
            problem: "no answer".to_owned(),
        };
        let meets = self.meets("ask for an act").await;
        if meets == Meets::Before {
            return Err(failed());
        }
        self.world().send(Message::Act(request.clone()), 0);
        if meets == Meets::After {
            return Err(failed());
        }
        Ok(())
    }

    async fn ask_in(&self, request: &ActRequest, seconds: u32) -> Result<(), ActQueueError> {
        let failed = || ActQueueError {
            scope: request.scope,
            problem: "no answer".to_owned(),
        };
        let meets = self.meets("ask for a later act").await;
        if meets == Meets::Before {
            return Err(failed());
        }
        let reminder = Message::Reminder(request.clone());
        self.world().send(reminder, seconds.into());
        if meets == Meets::After {
            return Err(failed());
        }
        Ok(())
    }
}

#[async_trait]
impl Queues for Ports {
    async fn delay(&self, record: &Record, seconds: u32) -> Result<(), String> {
        let meets = self.meets("delay a message").await;
        if meets != Meets::Before
            && let Ok(number) = record.id.parse()
        {
            let mut world = self.world();
            let at = Timestamp(world.now.0 + u64::from(seconds));
            world.due(number, at);
        }
        if meets == Meets::Nothing {
            Ok(())
        } else {
            Err("no answer".to_owned())
        }
    }

    async fn redrive(&self) -> Result<Redriven, String> {
        let meets = self.meets("redrive").await;
        if meets == Meets::Before {
            return Err("no answer".to_owned());
        }
        let messages = self.world().redrive();
        if meets == Meets::After {
            return Err("no answer".to_owned());
        }
        Ok(Redriven { messages, left: 0 })
    }

    async fn put_aside(&self, record: &Record, _: Aside, reason: &str) -> Result<(), String> {
        let meets = self.meets("put a message aside").await;
        if meets != Meets::Before
            && let Ok(number) = record.id.parse()
        {
            self.world().put_aside(number, reason);
        }
        if meets == Meets::Nothing {
            Ok(())
        } else {
            Err("no answer".to_owned())
        }
    }
}
