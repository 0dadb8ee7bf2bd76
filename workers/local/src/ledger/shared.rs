//! The statements about what belongs to no scope: what all of them share, when each is due, and what
//! repositories are called.

use rusqlite::{Connection, OptionalExtension as _, params};
use stoker_core::ports::{Due, Shared, SharedItem};
use stoker_core::time::Timestamp;
use stoker_intake::RepositoryId;

use super::rows::{Done, Fault, seconds, signed};

pub(super) fn shared(connection: &Connection, item: SharedItem) -> Done<Shared> {
    let found = connection
        .prepare_cached("SELECT revision, item FROM shared WHERE name = ?")?
        .query_row([item.as_str()], |row| {
            Ok(Shared {
                revision: row.get::<_, i64>(0)?.cast_unsigned(),
                body: row.get(1)?,
            })
        })
        .optional()?;
    Ok(found.unwrap_or_default())
}

pub(super) fn put_shared(
    connection: &Connection,
    item: SharedItem,
    seen: u64,
    body: &str,
) -> Done<()> {
    let written = connection
        .prepare_cached(
            "INSERT INTO shared (name, revision, item)
             SELECT ?1, ?2, ?3
             WHERE ?4 = 0 OR EXISTS (SELECT 1 FROM shared WHERE name = ?1)
             ON CONFLICT (name) DO UPDATE SET revision = ?2, item = ?3 WHERE revision = ?4",
        )?
        .execute(params![item.as_str(), signed(seen + 1), body, signed(seen)])?;
    if written == 1 {
        Ok(())
    } else {
        Err(Fault::conflict(item.as_str()))
    }
}

pub(super) fn put_due(connection: &Connection, due: &Due) -> Done<()> {
    connection
        .prepare_cached("INSERT OR IGNORE INTO due (at, scope) VALUES (?, ?)")?
        .execute(params![seconds(due.at), due.scope.to_string()])?;
    Ok(())
}

pub(super) fn due(connection: &Connection, until: Timestamp, most: usize) -> Done<Vec<Due>> {
    let most = i64::try_from(most).unwrap_or(i64::MAX);
    connection
        .prepare_cached("SELECT at, scope FROM due WHERE at <= ? ORDER BY at, scope LIMIT ?")?
        .query_and_then(params![seconds(until), most], |row| {
            let scope: String = row.get(1)?;
            Ok(Due {
                at: Timestamp(row.get::<_, i64>(0)?.cast_unsigned()),
                scope: scope.parse().map_err(|error| {
                    Fault::unreadable(format!("what is due for `{scope}`"), &error)
                })?,
            })
        })?
        .collect()
}

pub(super) fn drop_due(connection: &Connection, due: &Due) -> Done<()> {
    connection
        .prepare_cached("DELETE FROM due WHERE at = ? AND scope = ?")?
        .execute(params![seconds(due.at), due.scope.to_string()])?;
    Ok(())
}

pub(super) fn name_repository(connection: &Connection, name: &str, id: RepositoryId) -> Done<()> {
    connection
        .prepare_cached(
            "INSERT INTO repositories (name, id) VALUES (?1, ?2)
             ON CONFLICT (name) DO UPDATE SET id = ?2",
        )?
        .execute(params![name, signed(id.get())])?;
    Ok(())
}

pub(super) fn repository(connection: &Connection, name: &str) -> Done<Option<RepositoryId>> {
    let id = connection
        .prepare_cached("SELECT id FROM repositories WHERE name = ?")?
        .query_row([name], |row| row.get::<_, i64>(0))
        .optional()?;
    Ok(id.map(|id| RepositoryId::new(id.cast_unsigned())))
}
