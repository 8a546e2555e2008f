-- Of a branch: the task_seq or name of the decision, and what it must say, as [3, true]; in flows by number.
ALTER TABLE ms_task_definition ADD COLUMN when_is jsonb;
ALTER TABLE kr_task_stat ADD COLUMN when_is json;
