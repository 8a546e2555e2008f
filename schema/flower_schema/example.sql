-- The seed's example: a workflow of three tasks, one after the other.
INSERT INTO ms_task_definition
    (task_id, task_seq, program, task_priority, param1_key, param1_value, param2_key, param2_value)
VALUES
    ('example', 1, 'EchoRandomTimeSleep', 10, NULL, NULL, NULL, NULL),
    ('example', 2, 'EchoParamTimeSleep', 10, 'SLEEP_TIME_SECOND', '3', NULL, NULL),
    ('example', 3, 'HTTPPostRequest', 10, 'URL', 'https://postman-echo.com/post', 'BODY', '{"id": "test"}')
ON CONFLICT (task_id, task_seq) DO NOTHING;
