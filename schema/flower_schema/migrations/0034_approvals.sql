-- Approvals that wait for an answer, those that were asked last first.
CREATE INDEX kr_task_stat_asked
    ON kr_task_stat (((awaiting ->> 'since_ms')::bigint), task_flow_id, task_exec_seq)
    WHERE awaiting IS NOT NULL AND awaiting ->> 'kind' = 'approval';
