//! From a webhook to a runner, over every layer.

mod deaths;
mod failures;
mod persistent;
mod rebuild;
mod slice;
mod why;
