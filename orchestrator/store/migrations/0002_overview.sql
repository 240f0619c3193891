-- History in the order in which it happened anywhere, and what executions had as inputs.

CREATE INDEX history_time ON history (time, job_id, seq);

CREATE TABLE inputs (
    execution_id TEXT NOT NULL PRIMARY KEY,
    record BLOB NOT NULL
);
