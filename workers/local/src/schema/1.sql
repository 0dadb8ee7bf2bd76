-- Items are JSON; what is asked for or compared has a column of its own.

CREATE TABLE scopes (
    scope TEXT PRIMARY KEY,
    version INTEGER NOT NULL,
    -- The decision that made this version: a repetition of it succeeds.
    decision TEXT NOT NULL
) WITHOUT ROWID;

CREATE TABLE jobs (
    repository INTEGER NOT NULL,
    check_run INTEGER NOT NULL,
    scope TEXT NOT NULL,
    -- Seconds since 1970, once it has ended.
    ended_at INTEGER,
    revision INTEGER NOT NULL,
    item TEXT NOT NULL,
    PRIMARY KEY (repository, check_run)
);
CREATE INDEX jobs_live ON jobs (scope) WHERE ended_at IS NULL;
CREATE INDEX jobs_ended ON jobs (ended_at) WHERE ended_at IS NOT NULL;

CREATE TABLE runners (
    scope TEXT NOT NULL,
    instance TEXT NOT NULL,
    ended_at INTEGER,
    revision INTEGER NOT NULL,
    item TEXT NOT NULL,
    PRIMARY KEY (scope, instance)
);
CREATE INDEX runners_live ON runners (scope) WHERE ended_at IS NULL;
CREATE INDEX runners_ended ON runners (ended_at) WHERE ended_at IS NOT NULL;

CREATE TABLE intents (
    id TEXT PRIMARY KEY,
    scope TEXT NOT NULL,
    item TEXT NOT NULL
);
CREATE INDEX intents_of_scope ON intents (scope);

-- Messages that were accepted and are not done yet.
CREATE TABLE messages (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    body TEXT NOT NULL,
    -- Milliseconds since 1970.
    due INTEGER NOT NULL,
    receives INTEGER NOT NULL DEFAULT 0,
    -- 1: received too often, and put aside.
    dead INTEGER NOT NULL DEFAULT 0
);
