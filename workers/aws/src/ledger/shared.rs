//! What belongs to no scope: what all of them share, when each is due, and what repositories are called.

use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::types::AttributeValue;
use stoker_core::ports::{Due, LedgerError, Shared, SharedItem};
use stoker_core::time::Timestamp;
use stoker_intake::RepositoryId;

use super::item::{self, Attributes};
use super::keys::{self, Key};
use super::transaction::singly;
use super::{DynamoLedger, random, unavailable};

impl DynamoLedger {
    pub(super) async fn read_shared(&self, item: SharedItem) -> Result<Shared, LedgerError> {
        let Some(stored) = self.get(&Key::shared(item)).await? else {
            return Ok(Shared::default());
        };
        item::readable(&stored)?;
        Ok(Shared {
            revision: item::counter(&stored, item::REVISION)?,
            body: item::text(&stored, item::BODY)
                .unwrap_or_default()
                .to_owned(),
        })
    }

    pub(super) async fn write_shared(
        &self,
        item: SharedItem,
        seen: u64,
        body: &str,
    ) -> Result<(), LedgerError> {
        let key = Key::shared(item);
        let write = random::write_id();
        let mut content = item::attributes(&key, body);
        content.insert(item::REVISION.to_owned(), item::number(seen + 1));
        content.insert(item::WRITE.to_owned(), AttributeValue::S(write.clone()));
        let put = self
            .client
            .put_item()
            .table_name(&self.table)
            .set_item(Some(content));
        let put = if seen == 0 {
            put.condition_expression("attribute_not_exists(pk)")
        } else {
            put.condition_expression("revision = :seen")
                .expression_attribute_values(":seen", item::number(seen))
        };
        let Err(error) = singly(|| put.clone().send()).await else {
            return Ok(());
        };
        let is_unmet = error
            .as_service_error()
            .is_some_and(PutItemError::is_conditional_check_failed_exception);
        if !is_unmet {
            return Err(unavailable(format!("write {key}"), &error));
        }
        self.unless_ours(&key, &write, &key.to_string()).await
    }

    pub(super) async fn write_due(&self, due: &Due) -> Result<(), LedgerError> {
        self.put_plain(&Key::due(due), String::new()).await
    }

    pub(super) async fn read_due(
        &self,
        until: Timestamp,
        most: usize,
    ) -> Result<Vec<Due>, LedgerError> {
        let mut all = Vec::new();
        let mut pages = self
            .client
            .query()
            .table_name(&self.table)
            .key_condition_expression("pk = :pk AND sk < :end")
            .expression_attribute_values(":pk", AttributeValue::S(keys::DUE.to_owned()))
            // What is due in the next second sorts behind all that is due until now.
            .expression_attribute_values(
                ":end",
                AttributeValue::S(format!("{:010}", until.0.saturating_add(1))),
            )
            .consistent_read(true)
            .set_limit(self.page_size)
            .into_paginator()
            .send();
        while let Some(page) = pages.next().await {
            let page = page.map_err(|error| unavailable("list what is due", &error))?;
            for item in page.items() {
                if all.len() == most {
                    return Ok(all);
                }
                all.push(due(item)?);
            }
        }
        Ok(all)
    }

    pub(super) async fn delete_due(&self, due: &Due) -> Result<(), LedgerError> {
        let key = Key::due(due);
        let delete = self
            .client
            .delete_item()
            .table_name(&self.table)
            .set_key(Some(key.attributes()));
        singly(|| delete.clone().send())
            .await
            .map_err(|error| unavailable(format!("delete {key}"), &error))?;
        Ok(())
    }

    pub(super) async fn write_repository(
        &self,
        name: &str,
        id: RepositoryId,
    ) -> Result<(), LedgerError> {
        self.put_plain(&Key::repository(name), id.to_string()).await
    }

    pub(super) async fn read_repository(
        &self,
        name: &str,
    ) -> Result<Option<RepositoryId>, LedgerError> {
        let item = self.get(&Key::repository(name)).await?;
        item.as_ref().map(item::content).transpose()
    }

    /// An item that is written over whatever is there.
    async fn put_plain(&self, key: &Key, body: String) -> Result<(), LedgerError> {
        let put = self
            .client
            .put_item()
            .table_name(&self.table)
            .set_item(Some(item::attributes(key, &body)));
        singly(|| put.clone().send())
            .await
            .map_err(|error| unavailable(format!("write {key}"), &error))?;
        Ok(())
    }
}

fn due(item: &Attributes) -> Result<Due, LedgerError> {
    item::readable(item)?;
    let sk = item::text(item, keys::SK).unwrap_or_default();
    let parsed = sk.split_once('#').and_then(|(at, scope)| {
        Some(Due {
            at: Timestamp(at.parse().ok()?),
            scope: scope.parse().ok()?,
        })
    });
    parsed.ok_or_else(|| item::unreadable(item, &"its sort key is no time and scope"))
}
