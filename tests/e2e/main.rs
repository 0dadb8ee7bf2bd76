//! Stoker over real parts. One binary with a module for each subject, because linking is slow.

// Everything here is a test, and a test that can't go on is to say where.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod boot;
mod deploy;
mod doctor;
mod github;
mod openapi;
mod parts;
mod policies;
mod scale_down;
mod scale_up;
mod syncer;
mod webhook;
