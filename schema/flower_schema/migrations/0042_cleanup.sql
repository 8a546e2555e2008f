-- Tasks that clean up: spared by a cancel and by the flow's timeout, and run then.
ALTER TABLE ms_task_definition ADD COLUMN "finally" boolean;  -- NULL: false
ALTER TABLE kr_task_stat ADD COLUMN "finally" boolean;        -- as it was defined; NULL: false
ALTER TABLE ms_workflow ADD COLUMN cleanup_timeout_seconds numeric;  -- of a whole cleanup; NULL: an hour

-- Of a flow that ends but for its cleanup, and afterwards: since when, because of what ("cancel", "timeout"),
-- and how long the cleanup may take.
ALTER TABLE kr_flow_stat
    ADD COLUMN ending_ts timestamptz,
    ADD COLUMN ending_cause text,
    ADD COLUMN ending_until_ts timestamptz;
