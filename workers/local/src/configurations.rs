//! Where simulated instances read how to register.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use secrecy::SecretString;
use stoker_core::boot::InstanceConfiguration;
use stoker_core::ids::InstanceId;
use stoker_core::ports::{ConfigurationError, Configurations};

/// [`Configurations`] in memory: secrets are never written to a disk.
#[derive(Debug, Default)]
pub struct MemoryConfigurations {
    unread: Mutex<HashMap<InstanceId, SecretString>>,
}

impl MemoryConfigurations {
    /// What an instance does when it boots: reads its own configuration, and deletes it.
    pub fn take(&self, instance: &InstanceId) -> Option<SecretString> {
        self.unread().remove(instance)
    }

    fn unread(&self) -> MutexGuard<'_, HashMap<InstanceId, SecretString>> {
        self.unread.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Configurations for MemoryConfigurations {
    async fn put(
        &self,
        instance: &InstanceId,
        configuration: &InstanceConfiguration,
    ) -> Result<(), ConfigurationError> {
        self.unread()
            .insert(instance.clone(), configuration.to_parameter());
        Ok(())
    }

    async fn delete(&self, instance: &InstanceId) -> Result<(), ConfigurationError> {
        self.unread().remove(instance);
        Ok(())
    }
}
