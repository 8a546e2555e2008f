-- Retries, timeouts, operators: what people define of them, and what became of them.

-- What follows when an attempt of the task fails or takes too long; NULL: the default.
ALTER TABLE ms_task_definition
    ADD COLUMN max_attempts            integer,  -- NULL: the first failure suspends
    ADD COLUMN retry_delay_seconds     numeric,  -- before the second attempt; NULL: 1
    ADD COLUMN retry_backoff           numeric,  -- factor from each delay to the next; NULL: 2
    ADD COLUMN retry_max_delay_seconds numeric,  -- NULL: 300
    ADD COLUMN retry_jitter            numeric,  -- share (0..1) by which delays vary; NULL: 0.1
    ADD COLUMN no_retry_on             text[],   -- error types that suspend at once, subclasses too
    ADD COLUMN timeout_seconds         numeric,  -- of one attempt, start to finish; NULL: none
    ADD COLUMN queue_timeout_seconds   numeric;  -- from ready to start; NULL: none

-- What people define of workflows as a whole; a workflow need not have a row.
CREATE TABLE ms_workflow (
    task_id              varchar(256) COLLATE "C" NOT NULL PRIMARY KEY,
    flow_timeout_seconds numeric   -- from a flow's start to its end; NULL: none
);

CREATE TRIGGER flower_inserted AFTER INSERT ON ms_workflow
    REFERENCING NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION flower_tell_definitions();

CREATE TRIGGER flower_updated AFTER UPDATE ON ms_workflow
    REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION flower_tell_definitions();

CREATE TRIGGER flower_deleted AFTER DELETE ON ms_workflow
    REFERENCING OLD TABLE AS old_rows
    FOR EACH STATEMENT EXECUTE FUNCTION flower_tell_definitions();

CREATE TRIGGER flower_truncated AFTER TRUNCATE ON ms_workflow
    FOR EACH STATEMENT EXECUTE FUNCTION flower_tell_definitions();

ALTER TABLE kr_task_stat
    ADD COLUMN failures      integer,      -- since the task last began from the start
    ADD COLUMN retry_ts      timestamptz,  -- when its retry is due; NULL unless it waits for one
    ADD COLUMN progress      jsonb,        -- {"fraction", "note"} as the program told last
    ADD COLUMN ignored_by    text,         -- of a task in Ignore: who passed over it
    ADD COLUMN ignore_reason text;

ALTER TABLE kr_flow_stat
    ADD COLUMN registered_by   text,
    ADD COLUMN idempotency_key text,
    ADD COLUMN forked_from     text,         -- the flow whose finished tasks it took over
    ADD COLUMN start_ts        timestamptz,  -- nothing starts before
    ADD COLUMN paused_ts       timestamptz,  -- NULL unless it is paused
    ADD COLUMN paused_by       text,
    ADD COLUMN cancelled_ts    timestamptz,  -- NULL unless it ended by a cancel
    ADD COLUMN cancelled_by    text;

-- suspended_ts is set only while a task is in Suspend, and retry_ts only while it waits for a retry: these
-- indexes hold the failed tasks and no others, and the life of a task that does not fail touches neither.
DROP INDEX kr_task_stat_suspended;
CREATE INDEX kr_task_stat_suspended ON kr_task_stat (suspended_ts, task_flow_id, task_exec_seq)
    WHERE suspended_ts IS NOT NULL;
CREATE INDEX kr_task_stat_suspended_task_id ON kr_task_stat (task_id, suspended_ts, task_flow_id, task_exec_seq)
    WHERE suspended_ts IS NOT NULL;
CREATE INDEX kr_task_stat_retrying ON kr_task_stat (retry_ts, task_flow_id, task_exec_seq)
    WHERE retry_ts IS NOT NULL;
CREATE INDEX kr_task_stat_retrying_task_id ON kr_task_stat (task_id, retry_ts, task_flow_id, task_exec_seq)
    WHERE retry_ts IS NOT NULL;

-- Not unique: a duplicate, which takes a Redis that went back in time, must not stop the projector. The flow
-- registered first answers for the key.
CREATE INDEX kr_flow_stat_idempotency_key ON kr_flow_stat (idempotency_key, registered_ts, task_flow_id)
    WHERE idempotency_key IS NOT NULL;
