//! Admission as a whole: histories of uploads, faults and deaths, drawn from seeds; what each way to be
//! refused looks like; and the real judge with real components.

// Everything here is a test, and a test that can't go on is to say where.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod going_back;
mod simulation;
mod stand_in;
mod verdicts;
mod world;
