//! Waiting until a time comes.

use std::pin::Pin;
use std::sync::{Mutex, PoisonError};
use std::task::{Context, Poll};

use async_trait::async_trait;
use stoker_core::ports::Timer;
use stoker_core::time::Timestamp;

use crate::ports::Ports;
use crate::world::World;

#[async_trait]
impl Timer for Ports {
    async fn wait_until(&self, then: Timestamp) {
        Waiting {
            world: &self.0,
            then,
            is_counted: false,
        }
        .await;
    }
}

/// Waits until it is that time; how many do is counted, so that time passes when nobody can go on.
struct Waiting<'a> {
    world: &'a Mutex<World>,
    then: Timestamp,
    is_counted: bool,
}

impl Waiting<'_> {
    fn count(&mut self, is_waiting: bool) {
        if self.is_counted == is_waiting {
            return;
        }
        self.is_counted = is_waiting;
        let mut world = self.world.lock().unwrap_or_else(PoisonError::into_inner);
        if is_waiting {
            world.waiting += 1;
        } else {
            world.waiting -= 1;
        }
    }
}

impl Future for Waiting<'_> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let now = {
            let world = self.world.lock().unwrap_or_else(PoisonError::into_inner);
            world.now
        };
        let waits = now < self.then;
        self.count(waits);
        if !waits {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.count(false);
    }
}
