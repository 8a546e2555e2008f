-- Of a child: which round of its parent's task it is; NULL: the first, round 0.
ALTER TABLE kr_flow_stat ADD COLUMN parent_round integer;
