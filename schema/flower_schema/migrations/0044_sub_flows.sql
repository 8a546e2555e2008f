-- Sub-flows: of a child the task that awaits it, in which of its attempts, and the flow at the top of the tree.
ALTER TABLE kr_flow_stat
    ADD COLUMN parent_flow_id varchar(256) COLLATE "C",
    ADD COLUMN parent_task    integer,
    ADD COLUMN parent_attempt integer,
    ADD COLUMN trunk_flow_id  varchar(256) COLLATE "C";
CREATE INDEX kr_flow_stat_parent ON kr_flow_stat (parent_flow_id, registered_ts, task_flow_id)
    WHERE parent_flow_id IS NOT NULL;
CREATE INDEX kr_flow_stat_trunk ON kr_flow_stat (trunk_flow_id, registered_ts, task_flow_id)
    WHERE trunk_flow_id IS NOT NULL;
-- Whose children are of which versions is asked before versions are pruned.
CREATE INDEX kr_task_stat_sub_flows ON kr_task_stat (task_flow_id) WHERE program = '@flow';
