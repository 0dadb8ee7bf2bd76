//! Configurations, written no faster than SSM takes them.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use stoker_core::boot::InstanceConfiguration;
use stoker_core::ids::InstanceId;
use stoker_core::ports::{ConfigurationError, Configurations};
use tokio::time::{Instant, sleep_until};

/// Configurations that are written one after the other at a steady rate: what SSM throttles is refused in
/// the end, and then an instance that was launched and registered is thrown away. Deletions are not held
/// up: they are few, and nobody waits for them.
#[derive(Debug)]
pub struct Paced<C> {
    configurations: C,
    spacing: Duration,
    /// When the next one may be written.
    next: Mutex<Option<Instant>>,
}

impl<C> Paced<C> {
    /// At most so many a second; at least 1.
    pub fn new(configurations: C, a_second: u32) -> Self {
        Self {
            configurations,
            spacing: Duration::from_secs(1) / a_second.max(1),
            next: Mutex::default(),
        }
    }

    /// When it is this one's turn.
    fn turn(&self) -> Instant {
        let now = Instant::now();
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        let turn = next.map_or(now, |next| next.max(now));
        *next = Some(turn + self.spacing);
        turn
    }
}

#[async_trait]
impl<C: Configurations> Configurations for Paced<C> {
    async fn put(
        &self,
        instance: &InstanceId,
        configuration: &InstanceConfiguration,
    ) -> Result<(), ConfigurationError> {
        sleep_until(self.turn()).await;
        self.configurations.put(instance, configuration).await
    }

    async fn delete(&self, instance: &InstanceId) -> Result<(), ConfigurationError> {
        self.configurations.delete(instance).await
    }

    async fn delete_all(&self, instances: &[InstanceId]) -> Result<(), ConfigurationError> {
        self.configurations.delete_all(instances).await
    }
}

#[cfg(test)]
mod tests {
    use futures::future::join_all;
    use stoker_core::boot::Registration;

    use super::*;

    /// Notes when it was asked.
    #[derive(Default)]
    struct Noting(Mutex<Vec<Instant>>);

    #[async_trait]
    impl Configurations for Noting {
        async fn put(
            &self,
            _: &InstanceId,
            _: &InstanceConfiguration,
        ) -> Result<(), ConfigurationError> {
            self.0.lock().unwrap().push(Instant::now());
            Ok(())
        }

        async fn delete(&self, _: &InstanceId) -> Result<(), ConfigurationError> {
            Ok(())
        }
    }

    #[tokio::test(start_paused = true)]
    async fn no_second_has_more_than_its_share_and_nobody_waits_without_need() {
        let paced = Paced::new(Noting::default(), 40);
        let configuration = InstanceConfiguration {
            name: "r".to_owned(),
            url: "https://github.com/acme".to_owned(),
            labels: Vec::new(),
            runner_group: None,
            ephemeral: true,
            registration: Registration::Ephemeral("x".to_owned().into()),
        };
        let instance: InstanceId = "i-1".parse().unwrap();
        let begun = Instant::now();
        let all = (0..100).map(|_| paced.put(&instance, &configuration));
        assert!(join_all(all).await.iter().all(Result::is_ok));
        let written = paced.configurations.0.lock().unwrap().clone();
        assert_eq!(written[0], begun, "the first does not wait");
        for first in &written {
            let second = *first..*first + Duration::from_secs(1);
            let within = written.iter().filter(|at| second.contains(at)).count();
            // One more by the timer's grain of a millisecond.
            assert!(within <= 41, "{within}");
        }
        assert!(begun.elapsed() < Duration::from_millis(2_600));
        // What was not used is not saved up, and does not hold anybody up.
        tokio::time::advance(Duration::from_mins(1)).await;
        let later = Instant::now();
        paced.put(&instance, &configuration).await.unwrap();
        assert_eq!(Instant::now(), later);
    }
}
