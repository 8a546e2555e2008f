-- Which way a flow goes: when a task starts by how those before it end, and what follows its own failure.
ALTER TABLE ms_task_definition
    ADD COLUMN rule text,        -- ready, finished, settled, any, at_least:<k>, failed; NULL: ready
    ADD COLUMN others text,      -- keep, cancel: dependencies that any and at_least do not need; NULL: keep
    ADD COLUMN on_failure text,  -- hold, hold:<time> (2h, or seconds), give_up, pass; NULL: hold
    ADD COLUMN stand_in jsonb;   -- with pass: what its readers get; NULL: it has no result
ALTER TABLE kr_task_stat
    ADD COLUMN rule text,        -- as it was defined; NULL: ready
    ADD COLUMN on_failure text;  -- as it was defined; NULL: hold
