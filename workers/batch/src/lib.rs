//! What the scale-up Lambda does with a batch of messages, apart from AWS: the real thing under the Lambda,
//! under the simulation and under the benchmarks.
//!
//! In reading order: [`event`], what SQS hands over; [`message`], what a message asks for; [`handler`], what
//! is done with them, and [`lanes`], which of them wait for each other; [`queues`], what becomes of those that
//! were not handled; and [`paced`], which keeps to SSM's rate.

pub mod event;
pub mod handler;
mod lanes;
pub mod message;
pub mod paced;
pub mod queues;

pub use event::{BatchResponse, Invocation, Record, SqsEvent, Task};
pub use handler::{Handler, Steer};
pub use paced::Paced;
pub use queues::{Aside, Queues, Redriven};
