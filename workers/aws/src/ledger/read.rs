//! Reading. Everything is read consistently: what was written is seen.

use std::collections::BTreeSet;

use aws_sdk_dynamodb::types::AttributeValue;
use stoker_core::ids::{InstanceId, JobKey, PolicyGeneration, ScopeKey, ScopeVersion};
use stoker_core::job::Job;
use stoker_core::ports::{LedgerError, ScopeSeen, ScopeState};
use stoker_core::runner::Runner;

use super::item::{self, Attributes};
use super::keys::{self, Key};
use super::{DynamoLedger, unavailable};

impl DynamoLedger {
    pub(super) async fn read_job(&self, key: JobKey) -> Result<Option<Job>, LedgerError> {
        let item = self.get(&Key::job(key)).await?;
        item.as_ref().map(item::content).transpose()
    }

    pub(super) async fn read_runner(
        &self,
        instance: &InstanceId,
    ) -> Result<Option<Runner>, LedgerError> {
        let item = self.get(&Key::runner(instance)).await?;
        item.as_ref().map(item::content).transpose()
    }

    pub(super) async fn read_scope(&self, scope: ScopeKey) -> Result<ScopeState, LedgerError> {
        // Before everything else: see the module's word on the order.
        let ScopeSeen {
            version,
            generation,
        } = self.read_seen(scope).await?;
        let mut state = ScopeState {
            version,
            generation,
            ..ScopeState::default()
        };
        let mut pages = self
            .client
            .query()
            .table_name(&self.table)
            .key_condition_expression("pk = :pk")
            .expression_attribute_values(":pk", AttributeValue::S(keys::partition(scope)))
            .consistent_read(true)
            .set_limit(self.page_size)
            .into_paginator()
            .send();
        while let Some(page) = pages.next().await {
            let page = page.map_err(|error| unavailable(format!("read scope {scope}"), &error))?;
            for item in page.items() {
                add(&mut state, item)?;
            }
        }
        state.intents.sort_by(|a, b| a.id.cmp(&b.id));
        state.jobs.sort_by_key(|job| job.key);
        // One that ended between two pages is in both lists; the second is newer.
        let ended: BTreeSet<&InstanceId> = state.ended.iter().map(|r| &r.instance).collect();
        state
            .runners
            .retain(|runner| !ended.contains(&runner.instance));
        Ok(state)
    }

    async fn read_seen(&self, scope: ScopeKey) -> Result<ScopeSeen, LedgerError> {
        match self.get(&Key::scope(scope)).await? {
            None => Ok(ScopeSeen::default()),
            Some(item) => {
                item::readable(&item)?;
                Ok(ScopeSeen {
                    version: ScopeVersion(item::counter(&item, item::VERSION)?),
                    // Decided before there were generations, it has none.
                    generation: PolicyGeneration(item::counter_or_zero(&item, item::GENERATION)?),
                })
            }
        }
    }

    pub(super) async fn get(&self, key: &Key) -> Result<Option<Attributes>, LedgerError> {
        let answer = self
            .client
            .get_item()
            .table_name(&self.table)
            .set_key(Some(key.attributes()))
            .consistent_read(true)
            .send()
            .await
            .map_err(|error| unavailable(format!("read {key}"), &error))?;
        Ok(answer.item)
    }
}

/// Adds an item of a scope's partition to what is known of the scope.
fn add(state: &mut ScopeState, item: &Attributes) -> Result<(), LedgerError> {
    let sk = item::text(item, keys::SK).unwrap_or_default();
    if sk.starts_with(keys::INTENT) {
        state.intents.push(item::content(item)?);
    } else if sk.starts_with(keys::JOB) {
        state.jobs.push(item::content(item)?);
    } else if sk.starts_with(keys::RUNNER) {
        state.runners.push(item::content(item)?);
    } else if sk.starts_with(keys::ENDED) {
        state.ended.push(item::content(item)?);
    } else if sk == keys::ACCOUNT {
        state.account = item::content(item)?;
    }
    Ok(())
}
