-- A first delay above the longest one is refused from now on; one beside which nobody set the longest raises it
-- (NULL). The API wrote its default, 300 s, down for everybody: where the delay is longer, nobody meant that.
UPDATE ms_task_definition SET retry_max_delay_seconds = NULL
    WHERE retry_max_delay_seconds = 300 AND retry_delay_seconds > 300;

COMMENT ON COLUMN ms_task_definition.retry_max_delay_seconds IS 'NULL: 300, or retry_delay_seconds if longer';
