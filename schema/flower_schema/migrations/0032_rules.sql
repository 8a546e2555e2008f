-- Which way a flow goes: when a task starts by how those before it end, and what follows its own failure.
ALTER TABLE ms_task_definition
    ADD COLUMN rule text,        -- ready, finished, settled, any, at_least:<k>, failed; NULL: ready
    ADD COLUMN on_failure text,  -- hold, hold:<time> (2h, or seconds), give_up, pass; NULL: hold
    ADD COLUMN stand_in jsonb;   -- with pass: what its readers get; NULL: it has no result
ALTER TABLE kr_task_stat
    ADD COLUMN rule text,        -- as it was defined; NULL: ready
    ADD COLUMN on_failure text,  -- as it was defined; NULL: hold
    ADD COLUMN ended_as text;    -- of Ignore: p passed over by somebody, n not taken (its rule), c cut off by a
                                 -- cancel; of Suspend: x given up; NULL: it is Finish, or has not ended

-- Tasks that were passed over so far: with their flow, when that was cancelled, or each by itself.
UPDATE kr_task_stat AS task
SET ended_as = CASE WHEN cancelled.at IS NULL THEN 'p' ELSE 'c' END
FROM kr_task_stat AS known
LEFT JOIN (
    SELECT DISTINCT event.task_flow_id, to_timestamp((event.event ->> 'at')::bigint / 1000.0) AS at
    FROM (SELECT DISTINCT task_flow_id FROM kr_task_stat WHERE exec_status = 9) AS flow
    JOIN kr_event AS event ON event.task_flow_id = flow.task_flow_id
    WHERE event.type = 'flow.cancelled' AND jsonb_typeof(event.event -> 'at') = 'number'
) AS cancelled ON cancelled.task_flow_id = known.task_flow_id AND cancelled.at = known.finished_ts
WHERE known.exec_status = 9 AND task.task_flow_id = known.task_flow_id
    AND task.task_exec_seq = known.task_exec_seq;
