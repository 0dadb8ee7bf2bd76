-- What scopes have spent, and how their classes fared.

CREATE TABLE IF NOT EXISTS accounts (
    scope TEXT PRIMARY KEY,
    revision INTEGER NOT NULL,
    item TEXT NOT NULL
) WITHOUT ROWID;

-- Runners that have ended and are not on their scope's account yet.
CREATE TABLE IF NOT EXISTS unbooked (
    scope TEXT NOT NULL,
    instance TEXT NOT NULL,
    PRIMARY KEY (scope, instance)
) WITHOUT ROWID;
