-- Tasks that wait for the world: what they await, and who has answered an approval so far.
ALTER TABLE kr_task_stat
    ADD COLUMN awaiting jsonb, -- kind (sleep, event, approval), since_ms, until_ms (0: for ever); NULL: nothing now
    ADD COLUMN votes    jsonb; -- names that have answered while others are still to

-- What awaits something is looked for among all tasks, and is few of them.
CREATE INDEX kr_task_stat_awaiting ON kr_task_stat ((awaiting ->> 'kind'), task_flow_id, task_exec_seq)
    WHERE awaiting IS NOT NULL;
