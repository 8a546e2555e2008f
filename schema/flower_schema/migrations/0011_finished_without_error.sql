-- A task that finished shows no error of an earlier attempt as its own; the history keeps it.
UPDATE kr_task_stat SET error = NULL WHERE exec_status = 3 AND error IS NOT NULL;
