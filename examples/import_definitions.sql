-- An import of definitions: each row of import_definitions.csv is a task, for the programs of daily_report.py.
-- From the folder of both files, while the engine runs:
--
--     flower psql -v ON_ERROR_STOP=1 -f import_definitions.sql
--
-- What the file has takes the place of what was there, workflow by workflow; others stay. Parameters are texts; a text
-- that is a reference is one, so tables pass data between tasks as Python does. The API hears of the rows by itself.
BEGIN;
CREATE TEMPORARY TABLE imported (LIKE ms_task_definition INCLUDING DEFAULTS) ON COMMIT DROP;
\copy imported (task_id, task_seq, task_name, program, task_priority, param1_key, param1_value, param2_key, param2_value, param3_key, param3_value, param4_key, param4_value, max_attempts, retry_delay_seconds) FROM 'import_definitions.csv' WITH (FORMAT csv, HEADER)
DELETE FROM ms_task_definition WHERE task_id IN (SELECT task_id FROM imported);
INSERT INTO ms_task_definition SELECT * FROM imported;
-- What holds for each workflow as a whole: what its flows take and return.
INSERT INTO ms_workflow (task_id, flow_timeout_seconds, parameters_schema, returns)
SELECT DISTINCT
    task_id,
    7200,
    '{
        "type": "object",
        "properties": {"day": {"type": "string", "format": "date"}, "folder": {"type": "string"}},
        "required": ["day", "folder"],
        "additionalProperties": false
    }'::jsonb,
    '{"file": {"$from": "written"}, "amount": {"$from": "summary", "path": "/amount"}}'::jsonb
FROM imported
ON CONFLICT (task_id) DO UPDATE SET (flow_timeout_seconds, parameters_schema, returns)
    = (excluded.flow_timeout_seconds, excluded.parameters_schema, excluded.returns);
COMMIT;
