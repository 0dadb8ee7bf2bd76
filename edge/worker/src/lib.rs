//! The Cloudflare Worker: GitHub's webhooks, verified and posted to SQS.
//!
//! What a webhook is, is `stoker-intake`'s to say; here is what is particular to this listener. All of it
//! but the module `runtime` is pure and tested natively: time, chance and the network are handed in.
//!
//! In reading order: [`route`], which request is for whom; [`settings`], what must be configured;
//! [`sqs`], the request that sends a message and what its answer means; [`schedule`], when to try
//! again; [`log`], the one line a request leaves behind; `runtime`, the glue to Cloudflare (wasm32 only).

pub mod log;
pub mod route;
#[cfg(target_arch = "wasm32")]
mod runtime;
pub mod schedule;
pub mod settings;
pub mod sqs;
