-- A rerun may give tasks the bodies of another version of their workflow.
ALTER TABLE kr_task_stat ADD COLUMN definition text;  -- the hash of that version; NULL: that of the flow
CREATE INDEX kr_task_stat_definition ON kr_task_stat (definition, task_id) WHERE definition IS NOT NULL;
