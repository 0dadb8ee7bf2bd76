//! The Cloudflare Worker: GitHub's webhooks, verified and posted to SQS.
//!
//! What a webhook is, is `stoker-intake`'s to say; here is what is particular to this listener. All of it
//! but the module `runtime` is pure and tested natively: time, chance and the network are handed in.
//!
//! In reading order: [`settings`], what must be configured; [`sqs`], the request that sends a message and
//! what its answer means; `runtime`, the glue to Cloudflare (wasm32 only).

#[cfg(target_arch = "wasm32")]
mod runtime;
pub mod settings;
pub mod sqs;
