-- Of an item of a map that says by what its items are told apart: its key.
ALTER TABLE kr_task_stat ADD COLUMN item_key text;
