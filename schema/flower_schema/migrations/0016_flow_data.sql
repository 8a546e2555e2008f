-- Where the result of a task lies that is too large for an event: {"sha256", "bytes", "store"}. Its `result` is NULL.
ALTER TABLE kr_task_stat ADD COLUMN blob jsonb;

-- The flow's own parameters, where its workflow says what it takes, and the hash of the workflow's version.
ALTER TABLE kr_flow_stat ADD COLUMN parameters json;
ALTER TABLE kr_flow_stat ADD COLUMN definition text;
