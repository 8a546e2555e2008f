-- What cannot be compared with a task's parameter is no strike, and what is no parameter's name limits nothing.
-- Rows that are there already stay (NOT VALID); readers tell them.
ALTER TABLE ms_strike
    ADD CONSTRAINT ms_strike_id_is_a_name CHECK (strike_id <> '') NOT VALID,
    ADD CONSTRAINT ms_strike_value_is_comparable CHECK (
        CASE jsonb_typeof(value)
            WHEN 'number' THEN abs(value::numeric) < 1.7e308  -- as a double; whole numbers exactly
                AND (scale(value::numeric) > 0 OR abs(value::numeric) <= 9007199254740991)
            ELSE length(value::text) <= 65536
        END) NOT VALID;

ALTER TABLE ms_flow_control
    ADD CONSTRAINT ms_flow_control_limit_by_is_a_name CHECK (length(limit_by) <= 1024) NOT VALID,
    ADD CONSTRAINT ms_flow_control_fair_by_is_a_name CHECK (length(fair_by) <= 1024) NOT VALID;
