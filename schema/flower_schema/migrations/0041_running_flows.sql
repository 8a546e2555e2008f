-- Flows in which something has happened and more is to come are few beside those that wait: a list of them must
-- not read past all of these.
CREATE INDEX kr_flow_stat_running ON kr_flow_stat (registered_ts, task_flow_id) WHERE exec_status = 1;
