-- The tables of orchestrator/core/model.py. Records are msgspec-encoded beside the columns that queries need;
-- partitions and history, the many small ones, are plain columns. Times are nanoseconds since 1970.

CREATE TABLE cluster (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    cluster_id TEXT NOT NULL,
    last_commit INTEGER NOT NULL,
    last_time INTEGER NOT NULL
);

CREATE TABLE jobs (
    job_id TEXT NOT NULL,
    version INTEGER NOT NULL,
    namespace TEXT NOT NULL,
    name TEXT NOT NULL,
    created INTEGER NOT NULL,
    modified INTEGER NOT NULL,
    is_ended INTEGER NOT NULL,
    is_latest INTEGER NOT NULL,
    record BLOB NOT NULL,
    PRIMARY KEY (job_id, version)
);
CREATE INDEX jobs_name ON jobs (namespace, name) WHERE is_latest = 1;
CREATE INDEX jobs_created ON jobs (created, job_id) WHERE is_latest = 1;
CREATE INDEX jobs_modified ON jobs (modified, job_id) WHERE is_latest = 1;
CREATE INDEX jobs_unended ON jobs (job_id, version) WHERE is_latest = 1 AND is_ended = 0;

CREATE TABLE partitions (
    job_id TEXT NOT NULL,
    version INTEGER NOT NULL,
    idx INTEGER NOT NULL,
    state INTEGER NOT NULL,
    attempts INTEGER NOT NULL,
    billed INTEGER NOT NULL,
    lost INTEGER NOT NULL,
    retry_due INTEGER NOT NULL,
    accepted TEXT NOT NULL,
    last_node TEXT NOT NULL,
    PRIMARY KEY (job_id, version, idx)
) WITHOUT ROWID;

CREATE TABLE executions (
    execution_id TEXT NOT NULL PRIMARY KEY,
    job_id TEXT NOT NULL,
    version INTEGER NOT NULL,
    idx INTEGER NOT NULL,
    attempt INTEGER NOT NULL,
    is_live INTEGER NOT NULL,
    is_failed INTEGER NOT NULL,
    created INTEGER NOT NULL,
    modified INTEGER NOT NULL,
    record BLOB NOT NULL
);
CREATE INDEX executions_place ON executions (job_id, version, idx, attempt);
CREATE INDEX executions_failed ON executions (job_id, version, idx, attempt) WHERE is_failed = 1;
CREATE INDEX executions_live ON executions (job_id, version) WHERE is_live = 1;

CREATE TABLE history (
    job_id TEXT NOT NULL,
    seq INTEGER NOT NULL,
    version INTEGER NOT NULL,
    is_execution INTEGER NOT NULL,
    execution_id TEXT NOT NULL,
    idx INTEGER NOT NULL,
    topic TEXT NOT NULL,
    message TEXT NOT NULL,
    time INTEGER NOT NULL,
    details TEXT,
    PRIMARY KEY (job_id, seq)
) WITHOUT ROWID;

CREATE TABLE nodes (
    node_id TEXT NOT NULL PRIMARY KEY,
    record BLOB NOT NULL
);

CREATE TABLE tails (
    execution_id TEXT NOT NULL,
    stream TEXT NOT NULL,
    record BLOB NOT NULL,
    PRIMARY KEY (execution_id, stream)
);

CREATE TABLE answers (
    token TEXT NOT NULL PRIMARY KEY,
    body BLOB NOT NULL,
    time INTEGER NOT NULL
);
CREATE INDEX answers_time ON answers (time);
