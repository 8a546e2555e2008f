-- Flows of a schedule are listed as all flows are, the newest first.
CREATE INDEX ON kr_flow_stat (schedule, registered_ts, task_flow_id) WHERE schedule IS NOT NULL;
DROP INDEX kr_flow_stat_schedule_slot_ts_idx;
