//! How long the stand-in takes, and how many requests it bears.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use axum::http::Method;

const MINUTE: Duration = Duration::from_mins(1);

/// How long each answer takes, and GitHub's secondary limit of points a minute.
#[derive(Debug, Default)]
pub(super) struct Patience {
    answers_in: Duration,
    limit: Option<u32>,
    /// When points were spent, of the last minute.
    spent: VecDeque<(Instant, u32)>,
    most: u32,
}

impl Patience {
    pub(super) fn new(answers_in: Duration, limit: Option<u32>) -> Self {
        Self {
            answers_in,
            limit,
            ..Self::default()
        }
    }

    /// Takes a request. How long it takes, and in how many seconds to ask again if it is refused. Reads cost one
    /// point, writes five ("Rate limits for the REST API").
    pub(super) fn spend(&mut self, method: &Method, now: Instant) -> (Duration, Option<u64>) {
        let cost = if method == Method::GET { 1 } else { 5 };
        let is_over = |at: &Instant| now.saturating_duration_since(*at) >= MINUTE;
        while self.spent.front().is_some_and(|(at, _)| is_over(at)) {
            self.spent.pop_front();
        }
        let lately: u32 = self.spent.iter().map(|(_, points)| points).sum();
        if self.limit.is_some_and(|limit| lately + cost > limit) {
            return (self.answers_in, Some(60));
        }
        self.spent.push_back((now, cost));
        self.most = self.most.max(lately + cost);
        (self.answers_in, None)
    }

    pub(super) fn most(&self) -> u32 {
        self.most
    }
}
