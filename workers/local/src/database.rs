//! The one SQLite file of an embedded control plane, or its like in memory.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rusqlite::{Connection, TransactionBehavior};
use thiserror::Error;

/// What makes each version of the tables of the one before it. A step that was released never changes.
const STEPS: [(i64, &str); 4] = [
    (1, include_str!("schema/1.sql")),
    (2, include_str!("schema/2.sql")),
    (3, include_str!("schema/3.sql")),
    (4, include_str!("schema/4.sql")),
];

/// The version of the tables, in SQLite's `user_version`.
const SCHEMA_VERSION: i64 = STEPS[STEPS.len() - 1].0;

/// How long another process is waited for: one that is about to stop lets go within that.
const BUSY_TIMEOUT: Duration = Duration::from_secs(1);

/// The database can't be used.
#[derive(Debug, Error)]
pub enum DatabaseError {
    /// It can't be opened.
    #[error("the ledger {path} can't be opened: {source}")]
    Open {
        /// Its file.
        path: PathBuf,
        /// Why.
        source: rusqlite::Error,
    },
    /// It was written by a newer Stoker.
    #[error(
        "the ledger {path} has schema version {found}, and this Stoker knows up to {SCHEMA_VERSION}: use the newer Stoker, or another data folder"
    )]
    Newer {
        /// Its file.
        path: PathBuf,
        /// Its version.
        found: i64,
    },
    /// Another process runs on it.
    #[error(
        "the ledger {path} is in use by another process: stop that one, or use another data folder"
    )]
    InUse {
        /// Its file.
        path: PathBuf,
    },
}

/// A connection that many tasks share. One is enough: a write takes less than a millisecond.
#[derive(Debug, Clone)]
pub struct Database {
    connection: Arc<Mutex<Connection>>,
}

impl Database {
    /// Opens a file, and makes it if there is none. It is locked until it is closed: each process has a
    /// simulated fleet of its own, so two on one ledger would end each other's runners.
    pub fn open(path: &Path) -> Result<Self, DatabaseError> {
        let failed = |source| DatabaseError::Open {
            path: path.to_owned(),
            source,
        };
        Self::prepare(Connection::open(path).map_err(failed)?, path)
    }

    /// A database that ends with the process.
    pub fn in_memory() -> Result<Self, DatabaseError> {
        let path = Path::new("(in memory)");
        let failed = |source| DatabaseError::Open {
            path: path.to_owned(),
            source,
        };
        Self::prepare(Connection::open_in_memory().map_err(failed)?, path)
    }

    fn prepare(mut connection: Connection, path: &Path) -> Result<Self, DatabaseError> {
        let failed = |source: rusqlite::Error| match source.sqlite_error_code() {
            Some(rusqlite::ErrorCode::DatabaseBusy | rusqlite::ErrorCode::DatabaseLocked) => {
                DatabaseError::InUse {
                    path: path.to_owned(),
                }
            }
            _ => DatabaseError::Open {
                path: path.to_owned(),
                source,
            },
        };
        connection.busy_timeout(BUSY_TIMEOUT).map_err(failed)?;
        // WAL keeps committed writes when the process dies; NORMAL may lose the last ones when the
        // machine does, which webhooks' redelivery makes good.
        connection
            .execute_batch("PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;")
            .map_err(failed)?;
        let transaction = connection
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .map_err(failed)?;
        let found: i64 = transaction
            .pragma_query_value(None, "user_version", |row| row.get(0))
            .map_err(failed)?;
        if found > SCHEMA_VERSION {
            return Err(DatabaseError::Newer {
                path: path.to_owned(),
                found,
            });
        }
        for (version, step) in STEPS.into_iter().filter(|(version, _)| *version > found) {
            transaction.execute_batch(step).map_err(failed)?;
            transaction
                .pragma_update(None, "user_version", version)
                .map_err(failed)?;
        }
        transaction.commit().map_err(failed)?;
        Ok(Self {
            connection: Arc::new(Mutex::new(connection)),
        })
    }

    /// Does something with the connection, off the runtime's threads.
    pub(crate) async fn with<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Connection) -> T + Send + 'static,
    ) -> Result<T, String> {
        let connection = Arc::clone(&self.connection);
        tokio::task::spawn_blocking(move || {
            // A transaction that a panic left is rolled back when it is dropped.
            work(&mut connection.lock().unwrap_or_else(PoisonError::into_inner))
        })
        .await
        .map_err(|error| error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ledger_of_a_newer_stoker_is_refused_and_left_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ledger.sqlite");
        drop(Database::open(&path).unwrap());
        let raw = Connection::open(&path).unwrap();
        raw.pragma_update(None, "user_version", 7).unwrap();
        drop(raw);
        let told = Database::open(&path).unwrap_err();
        assert!(matches!(told, DatabaseError::Newer { found: 7, .. }));
        assert!(told.to_string().contains("newer Stoker"), "{told}");
    }

    #[test]
    fn a_ledger_of_an_older_stoker_is_brought_up_to_date() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ledger.sqlite");
        let (version, first) = STEPS[0];
        let old = Connection::open(&path).unwrap();
        old.execute_batch(first).unwrap();
        old.execute(
            "INSERT INTO scopes (scope, version, decision) VALUES ('org-1', 7, 'd')",
            [],
        )
        .unwrap();
        old.pragma_update(None, "user_version", version).unwrap();
        drop(old);
        let database = Database::open(&path).unwrap();
        let connection = database.connection.lock().unwrap();
        let one = |query: &str| connection.query_row(query, [], |row| row.get::<_, i64>(0));
        assert_eq!(one("PRAGMA user_version"), Ok(SCHEMA_VERSION));
        assert_eq!(one("SELECT version FROM scopes"), Ok(7));
        assert_eq!(one("SELECT generation FROM scopes"), Ok(0));
        assert_eq!(one("SELECT count(*) FROM accounts"), Ok(0));
    }

    #[test]
    fn two_control_planes_cannot_share_a_ledger() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ledger.sqlite");
        let _first = Database::open(&path).unwrap();
        let told = Database::open(&path).unwrap_err();
        assert!(matches!(told, DatabaseError::InUse { .. }), "{told}");
    }

    #[test]
    fn what_is_no_database_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ledger.sqlite");
        std::fs::write(
            &path,
            "not a database, but long enough to be looked at".repeat(50),
        )
        .unwrap();
        let told = Database::open(&path).unwrap_err();
        assert!(matches!(told, DatabaseError::Open { .. }), "{told}");
    }
}
