//! The table itself, for tests and trials. In production Terraform makes it, with what costs money and
//! needs a decision: encryption key, point-in-time recovery, protection against deletion.

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::BuildError;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType,
    TimeToLiveSpecification,
};
use stoker_core::ports::LedgerError;

use super::{item, keys, unavailable};

/// The keys of the table.
pub(crate) const KEYS: [(&str, KeyType); 2] =
    [(keys::PK, KeyType::Hash), (keys::SK, KeyType::Range)];

/// Makes a table of that name, as the ledger needs it. On AWS it can be used only some seconds later.
pub async fn create_table(client: &Client, table: &str) -> Result<(), LedgerError> {
    let what = format!("make the table {table}");
    let faulty = |error: BuildError| LedgerError::Unavailable {
        what: what.clone(),
        problem: error.to_string(),
    };
    let mut call = client
        .create_table()
        .table_name(table)
        .billing_mode(BillingMode::PayPerRequest);
    for (name, kind) in KEYS {
        call = call
            .attribute_definitions(
                AttributeDefinition::builder()
                    .attribute_name(name)
                    .attribute_type(ScalarAttributeType::S)
                    .build()
                    .map_err(faulty)?,
            )
            .key_schema(
                KeySchemaElement::builder()
                    .attribute_name(name)
                    .key_type(kind)
                    .build()
                    .map_err(faulty)?,
            );
    }
    call.send()
        .await
        .map_err(|error| unavailable(what.as_str(), &error))?;
    client
        .update_time_to_live()
        .table_name(table)
        .time_to_live_specification(
            TimeToLiveSpecification::builder()
                .attribute_name(item::EXPIRES_AT)
                .enabled(true)
                .build()
                .map_err(faulty)?,
        )
        .send()
        .await
        .map_err(|error| unavailable(what.as_str(), &error))?;
    Ok(())
}
