-- How many executions of a partition were taken back or lost before they began.

ALTER TABLE partitions ADD COLUMN unbegun INTEGER NOT NULL DEFAULT 0;
