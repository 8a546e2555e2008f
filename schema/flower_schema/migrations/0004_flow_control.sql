-- Flow control among workflows: limits, rates, weights and pauses, and how much a task weighs.

ALTER TABLE ms_task_definition
    ADD COLUMN units integer;  -- how much it counts against limits while it runs; NULL: 1

-- What people set; a scope and name without a row is not limited. See docs/lifecycle.md.
CREATE TABLE ms_flow_control (
    scope               text COLLATE "C" NOT NULL CHECK (scope IN ('global', 'queue', 'workflow', 'program')),
    name                varchar(256) COLLATE "C" NOT NULL DEFAULT '',
    max_running         integer CHECK (max_running BETWEEN 1 AND 1000000),  -- units of tasks that run at once
    limit_by            text CHECK (limit_by <> ''),                        -- a parameter ...
    max_per_key         integer CHECK (max_per_key BETWEEN 1 AND 1000000),  -- ... and units for each value of it
    max_flows           integer CHECK (max_flows BETWEEN 1 AND 1000000),    -- flows under way at once
    at_max_flows        text NOT NULL DEFAULT 'queue'
        CHECK (at_max_flows IN ('queue', 'reject', 'cancel_oldest', 'skip')),
    count_suspended     boolean NOT NULL DEFAULT false,
    rate                integer CHECK (rate BETWEEN 1 AND 1000000),         -- starts of tasks in any period
    rate_period_seconds double precision NOT NULL DEFAULT 1 CHECK (rate_period_seconds BETWEEN 0.1 AND 86400),
    fair_by             text CHECK (fair_by <> ''),                         -- a parameter; its values take turns
    weight              double precision CHECK (weight BETWEEN 0.01 AND 100),
    is_paused           boolean NOT NULL DEFAULT false,
    reason              text NOT NULL DEFAULT '',
    changed_by          text NOT NULL DEFAULT '',
    PRIMARY KEY (scope, name),
    CHECK ((scope = 'global') = (name = '')),
    CHECK ((limit_by IS NULL) = (max_per_key IS NULL)),
    CHECK (scope IN ('workflow', 'program') OR (limit_by IS NULL AND rate IS NULL)),
    CHECK (scope = 'workflow' OR (max_flows IS NULL AND fair_by IS NULL AND weight IS NULL))
);

-- Rises with each change, in the same transaction, so that nobody takes an older state for a newer one.
CREATE TABLE kr_flow_control_version (
    only_one boolean NOT NULL PRIMARY KEY DEFAULT true CHECK (only_one),
    version  bigint  NOT NULL
);
INSERT INTO kr_flow_control_version (version) VALUES (1);

CREATE FUNCTION flower_tell_flow_control() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE kr_flow_control_version SET version = version + 1;
    PERFORM pg_notify('flower_definitions', '');  -- plans carry keys (fair_by, limit_by)
    RETURN NULL;
END
$$;

CREATE TRIGGER flower_changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON ms_flow_control
    FOR EACH STATEMENT EXECUTE FUNCTION flower_tell_flow_control();
