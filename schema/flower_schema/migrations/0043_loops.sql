-- Loops: how many rounds of a task its program may ask for; NULL: 1,000.
ALTER TABLE ms_task_definition ADD COLUMN max_rounds integer;
-- Of a task whose program asked: which round it is in (NULL: none), when that begins, and the parameters that
-- hold in it in place of its own.
ALTER TABLE kr_task_stat
    ADD COLUMN max_rounds integer,
    ADD COLUMN round      integer,
    ADD COLUMN again_ts   timestamptz,
    ADD COLUMN given      jsonb;
ALTER TABLE kr_flow_stat ADD COLUMN rounds integer; -- of all its loops; NULL: none
