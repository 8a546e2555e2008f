-- Approvals of which hooks are told again after a time.
CREATE INDEX kr_task_stat_reminded ON kr_task_stat (task_flow_id, task_exec_seq)
    WHERE CASE WHEN awaiting ->> 'kind' = 'approval'
        THEN (parameters ->> 'remind_seconds') IS NOT NULL OR (parameters ->> 'escalate_seconds') IS NOT NULL
        ELSE false END;

-- Signals by name and key that are kept for flows which come to await them. Written by the API, and by whoever
-- brings them to flows; each flow gets one once, by its id.
CREATE TABLE kr_signal (
    id       text        PRIMARY KEY,
    name     text        NOT NULL,
    key      text        NOT NULL,           -- '': none
    payload  json        NOT NULL,
    sent_by  text        NOT NULL,
    sent_ts  timestamptz NOT NULL DEFAULT now(),
    until_ts timestamptz NOT NULL,           -- so long it is kept
    is_first boolean     NOT NULL,           -- only the first flow gets it
    taken    bigint      NOT NULL DEFAULT 0, -- tasks that took it
    is_over  boolean     NOT NULL DEFAULT false
);
CREATE INDEX kr_signal_open ON kr_signal (until_ts) WHERE NOT is_over;
