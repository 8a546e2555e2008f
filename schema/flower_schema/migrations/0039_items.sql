-- Of an item of a map: the task_exec_seq of the map, and which element of its list it was given, from 0 on.
ALTER TABLE kr_task_stat
    ADD COLUMN item_of integer,
    ADD COLUMN item_index integer;
