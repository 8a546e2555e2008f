-- Of an item of a map that took over what an earlier one had come to: which one that was.
ALTER TABLE kr_task_stat ADD COLUMN taken_from integer;
