-- Tasks may have a name; what takes a task takes its name, too.
ALTER TABLE ms_task_definition ADD COLUMN task_name text;  -- an identifier, unique in the workflow; NULL: none
ALTER TABLE kr_task_stat ADD COLUMN task_name text;
