//! Writing. Every write is a transaction with a condition; one whose condition fails is re-read before
//! that is believed, since a lost answer is asked for again and then meets its own success.

use aws_sdk_dynamodb::error::BuildError;
use aws_sdk_dynamodb::types::{AttributeValue, Delete, Put, TransactWriteItem, Update};
use stoker_core::account::Account;
use stoker_core::ids::{DecisionId, InstanceId, ScopeKey, ScopeVersion};
use stoker_core::job::Job;
use stoker_core::ports::{DecidedScope, Due, LedgerError, Settlement};
use stoker_core::runner::Runner;

use super::item::{self, Entry};
use super::keys::Key;
use super::transaction::{ITEMS_AT_ONCE, Transacted};
use super::{DynamoLedger, random};

/// How many items a job is, or a runner that has not ended: itself and its copy.
const ITEMS_PER_ENTRY: usize = 2;

/// How many runners of an outcome are written at once: one item is left for the intent's deletion.
const RUNNERS_AT_ONCE: usize = (ITEMS_AT_ONCE - 1) / ITEMS_PER_ENTRY;

impl DynamoLedger {
    pub(super) async fn write_job(&self, job: &Job) -> Result<(), LedgerError> {
        self.put(&Entry::of_job(job)?, &format!("job {}", job.key))
            .await
    }

    pub(super) async fn write_runner(&self, runner: &Runner) -> Result<(), LedgerError> {
        self.put(
            &Entry::of_runner(runner)?,
            &format!("runner {}", runner.instance),
        )
        .await
    }

    async fn put(&self, entry: &Entry, name: &str) -> Result<(), LedgerError> {
        let write = random::write_id();
        let items = self
            .both(entry, &write)
            .map_err(|error| faulty(name, &error))?;
        match self.transact(&format!("write {name}"), items).await? {
            Transacted::Written => Ok(()),
            Transacted::Unmet(_) => self.unless_ours(&entry.key, &write, name).await,
        }
    }

    /// What a write came to whose condition does not hold: a conflict, unless the item is of that very
    /// write. A lost answer is asked for again, and then meets its own success.
    pub(super) async fn unless_ours(
        &self,
        key: &Key,
        write: &str,
        name: &str,
    ) -> Result<(), LedgerError> {
        let stored = self.get(key).await?;
        let last = stored
            .as_ref()
            .and_then(|item| item::text(item, item::WRITE));
        if last == Some(write) {
            Ok(())
        } else {
            Err(LedgerError::Conflict(name.to_owned()))
        }
    }

    pub(super) async fn write_decision(
        &self,
        decided: &DecidedScope<'_>,
    ) -> Result<ScopeVersion, LedgerError> {
        let DecidedScope {
            scope,
            state,
            decision,
            intents,
            ..
        } = *decided;
        let what = format!("save decision {decision} of scope {scope}");
        if intents.len() + 1 >= ITEMS_AT_ONCE {
            return Err(LedgerError::Unavailable {
                what,
                problem: format!(
                    "it has {} launches, and one transaction takes {} at most; the scope is left as it is",
                    intents.len(),
                    ITEMS_AT_ONCE - 2
                ),
            });
        }
        let next = ScopeVersion(state.version.0 + 1);
        let raise = self.raise(decided, next);
        let mut items = vec![raise.map_err(|error| faulty(&what, &error))?];
        if let Some(at) = decided.due {
            let key = Key::due(&Due { at, scope });
            items.push(self.copy(&key, "").map_err(|error| faulty(&what, &error))?);
        }
        for intent in intents {
            let key = Key::intent(scope, &intent.id);
            let put = Put::builder()
                .table_name(&self.table)
                .set_item(Some(item::attributes(&key, &item::body(&key, intent)?)))
                .build()
                .map_err(|error| faulty(&what, &error))?;
            items.push(TransactWriteItem::builder().put(put).build());
        }
        match self.transact(&what, items).await? {
            Transacted::Written => Ok(next),
            Transacted::Unmet(_) if self.is_last(scope, next, decision).await? => Ok(next),
            Transacted::Unmet(_) => Err(LedgerError::Conflict(format!("scope {scope}"))),
        }
    }

    /// Whether that decision is the scope's last.
    async fn is_last(
        &self,
        scope: ScopeKey,
        version: ScopeVersion,
        decision: &DecisionId,
    ) -> Result<bool, LedgerError> {
        let Some(stored) = self.get(&Key::scope(scope)).await? else {
            return Ok(false);
        };
        Ok(item::counter(&stored, item::VERSION)? == version.0
            && item::text(&stored, item::DECISION) == Some(decision.0.as_str()))
    }

    /// The runners that are new, then the end of the intent; with few runners, all at once.
    pub(super) async fn write_settlement(
        &self,
        settlement: &Settlement,
    ) -> Result<(), LedgerError> {
        let what = format!("save the outcome of intent {}", settlement.intent);
        let entries = settlement
            .runners
            .iter()
            .map(|runner| {
                // Put only if there is none, whatever the runner says of its revision.
                Entry::of_runner(&Runner {
                    revision: 0,
                    ..runner.clone()
                })
            })
            .collect::<Result<Vec<_>, _>>()?;
        let mut chunks: Vec<&[Entry]> = entries.chunks(RUNNERS_AT_ONCE).collect();
        let last = chunks.pop().unwrap_or_default();
        for chunk in chunks {
            self.add_runners(&what, chunk, None).await?;
        }
        let end = Key::intent(settlement.scope, &settlement.intent);
        self.add_runners(&what, last, Some(&end)).await
    }

    /// Writes those runners that are not known, and deletes `end`, at once.
    async fn add_runners(
        &self,
        what: &str,
        entries: &[Entry],
        end: Option<&Key>,
    ) -> Result<(), LedgerError> {
        let mut unknown: Vec<&Entry> = entries.iter().collect();
        let write = random::write_id();
        loop {
            let mut items = Vec::new();
            for entry in &unknown {
                items.extend(
                    self.both(entry, &write)
                        .map_err(|error| faulty(what, &error))?,
                );
            }
            if let Some(end) = end {
                items.push(self.delete(end).map_err(|error| faulty(what, &error))?);
            }
            if items.is_empty() {
                return Ok(());
            }
            match self.transact(what, items).await? {
                Transacted::Written => return Ok(()),
                // Those are known already, and stay as they are. Every round leaves fewer.
                Transacted::Unmet(positions) => {
                    let known: Vec<usize> = positions
                        .into_iter()
                        .map(|position| position / ITEMS_PER_ENTRY)
                        .collect();
                    unknown = unknown
                        .into_iter()
                        .enumerate()
                        .filter(|(place, _)| !known.contains(place))
                        .map(|(_, entry)| entry)
                        .collect();
                }
            }
        }
    }

    /// An entry over the revision that it is to replace, and its copy: there while it is live.
    fn both(&self, entry: &Entry, write: &str) -> Result<Vec<TransactWriteItem>, BuildError> {
        let mut itself = item::attributes(&entry.key, &entry.body);
        itself.insert(item::WRITE.to_owned(), AttributeValue::S(write.to_owned()));
        itself.insert(item::REVISION.to_owned(), item::number(entry.seen + 1));
        if let Some(at) = entry.expires_at {
            itself.insert(item::EXPIRES_AT.to_owned(), item::number(at));
        }
        let put = Put::builder()
            .table_name(&self.table)
            .set_item(Some(itself));
        let put = if entry.seen == 0 {
            put.condition_expression("attribute_not_exists(pk)")
        } else {
            put.condition_expression("revision = :seen")
                .expression_attribute_values(":seen", item::number(entry.seen))
        };
        let copy = if entry.live {
            self.copy(&entry.copy, &entry.body)?
        } else {
            self.delete(&entry.copy)?
        };
        let mut items = vec![TransactWriteItem::builder().put(put.build()?).build(), copy];
        if let Some(ended) = &entry.ended_copy {
            items.push(self.copy(ended, &entry.body)?);
        }
        Ok(items)
    }

    fn copy(&self, key: &Key, body: &str) -> Result<TransactWriteItem, BuildError> {
        let put = Put::builder()
            .table_name(&self.table)
            .set_item(Some(item::attributes(key, body)))
            .build()?;
        Ok(TransactWriteItem::builder().put(put).build())
    }

    /// The account over the revision that it carries, and the end of the copies of what is booked.
    pub(super) async fn write_account(
        &self,
        scope: ScopeKey,
        account: &Account,
        booked: &[InstanceId],
    ) -> Result<(), LedgerError> {
        let key = Key::account(scope);
        let what = format!("write {key}");
        let write = random::write_id();
        let stored = account.at_revision(account.revision + 1);
        let mut content = item::attributes(&key, &item::body(&key, &stored)?);
        content.insert(item::REVISION.to_owned(), item::number(stored.revision));
        content.insert(item::WRITE.to_owned(), AttributeValue::S(write.clone()));
        let put = Put::builder()
            .table_name(&self.table)
            .set_item(Some(content));
        let put = if account.revision == 0 {
            put.condition_expression("attribute_not_exists(pk)")
        } else {
            put.condition_expression("revision = :seen")
                .expression_attribute_values(":seen", item::number(account.revision))
        };
        let put = put.build().map_err(|error| faulty(&what, &error))?;
        let mut items = vec![TransactWriteItem::builder().put(put).build()];
        for instance in booked {
            let copy = Key::ended_in_scope(scope, instance);
            let delete = Delete::builder()
                .table_name(&self.table)
                .set_key(Some(copy.attributes()))
                // Who booked it before has taken it away.
                .condition_expression("attribute_exists(pk)")
                .build()
                .map_err(|error| faulty(&what, &error))?;
            items.push(TransactWriteItem::builder().delete(delete).build());
        }
        match self.transact(&what, items).await? {
            Transacted::Written => Ok(()),
            Transacted::Unmet(_) => self.unless_ours(&key, &write, &key.to_string()).await,
        }
    }

    fn delete(&self, key: &Key) -> Result<TransactWriteItem, BuildError> {
        let delete = Delete::builder()
            .table_name(&self.table)
            .set_key(Some(key.attributes()))
            .build()?;
        Ok(TransactWriteItem::builder().delete(delete).build())
    }

    /// A scope's next version, if the one that was seen is still its version, and the generation that
    /// it was decided by, unless that would lower it. What else the item holds stays.
    fn raise(
        &self,
        decided: &DecidedScope<'_>,
        next: ScopeVersion,
    ) -> Result<TransactWriteItem, BuildError> {
        let DecidedScope {
            scope,
            state,
            decision,
            ..
        } = *decided;
        let generation = decided.generation.max(state.generation);
        let update = Update::builder()
            .table_name(&self.table)
            .set_key(Some(Key::scope(scope).attributes()))
            .update_expression(
                "SET #version = :next, #generation = :generation, #decision = :decision, #schema = :schema",
            )
            .expression_attribute_names("#version", item::VERSION)
            .expression_attribute_names("#generation", item::GENERATION)
            .expression_attribute_names("#decision", item::DECISION)
            .expression_attribute_names("#schema", item::SCHEMA)
            .expression_attribute_values(":next", item::number(next.0))
            .expression_attribute_values(":generation", item::number(generation.0))
            .expression_attribute_values(":decision", AttributeValue::S(decision.0.clone()))
            .expression_attribute_values(":schema", item::number(item::OUR_SCHEMA));
        let not_lower = "(attribute_not_exists(#generation) OR #generation <= :generation)";
        let update = if state.version.0 == 0 {
            update.condition_expression(format!("attribute_not_exists(#version) AND {not_lower}"))
        } else {
            update
                .condition_expression(format!("#version = :seen AND {not_lower}"))
                .expression_attribute_values(":seen", item::number(state.version.0))
        };
        Ok(TransactWriteItem::builder().update(update.build()?).build())
    }
}

/// The request could not even be made.
fn faulty(what: &str, error: &BuildError) -> LedgerError {
    LedgerError::Unavailable {
        what: what.to_owned(),
        problem: error.to_string(),
    }
}
