-- An instance belongs to one scope, which is found by it.
CREATE INDEX IF NOT EXISTS runners_by_instance ON runners (instance);

-- Scopes that are to be acted on, and when: seconds since 1970.
CREATE TABLE IF NOT EXISTS due (
    at INTEGER NOT NULL,
    scope TEXT NOT NULL,
    PRIMARY KEY (at, scope)
) WITHOUT ROWID;

-- What all scopes share.
CREATE TABLE IF NOT EXISTS shared (
    name TEXT PRIMARY KEY,
    revision INTEGER NOT NULL,
    item TEXT NOT NULL
) WITHOUT ROWID;

-- What repositories are called: `owner/name`, in lower case.
CREATE TABLE IF NOT EXISTS repositories (
    name TEXT PRIMARY KEY,
    id INTEGER NOT NULL
) WITHOUT ROWID;
