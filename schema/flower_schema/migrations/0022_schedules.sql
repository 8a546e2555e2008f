-- Schedules: when flows of a workflow begin by themselves. What a row cannot mean is told at that schedule, which
-- then does not fire; so there are few CHECKs here.

CREATE TABLE ms_schedule (
    name                 varchar(256) COLLATE "C" NOT NULL PRIMARY KEY,
    uid                  uuid NOT NULL UNIQUE DEFAULT gen_random_uuid(),  -- dropped and made anew, it is another one
    task_id              varchar(256) COLLATE "C" NOT NULL,  -- the workflow
    cron                 text,                               -- one of cron, every_seconds and at
    every_seconds        double precision,
    at                   timestamptz,
    anchor               timestamptz,                        -- of every_seconds; NULL: 1970-01-01, UTC
    timezone             text NOT NULL DEFAULT 'UTC',        -- of IANA: Europe/Berlin
    starts               timestamptz,                        -- no slot before
    ends                 timestamptz,                        -- no slot after
    parameters           jsonb,                              -- of its flows; {"$slot": ...} stands for the slot's
    overlap              text NOT NULL DEFAULT 'skip',
    catch_up             text NOT NULL DEFAULT 'latest',
    window_seconds       double precision,                   -- NULL: one interval, a day at most
    max_catch_up         integer NOT NULL DEFAULT 10,
    jitter_seconds       double precision NOT NULL DEFAULT 0,
    except_dates         jsonb,                              -- ["2026-12-25", ...] in its time zone
    calendar             text COLLATE "C",                   -- of ms_calendar: on its days nothing fires
    is_paused            boolean NOT NULL DEFAULT false,
    reason               text NOT NULL DEFAULT '',           -- why it is paused
    pause_after_failures integer,                            -- in a row; NULL: never
    priority             integer,                            -- of all tasks; NULL: as they are defined
    source               text,                               -- of the deploy that brought it
    created_ts           timestamptz NOT NULL DEFAULT now(),
    changed_ts           timestamptz NOT NULL DEFAULT now(), -- of the last change of WHEN it fires; set by a trigger
    changed_by           text NOT NULL DEFAULT '',
    version              bigint NOT NULL DEFAULT 0           -- set by a trigger; rises with each change
);
CREATE INDEX ON ms_schedule (version);
CREATE INDEX ON ms_schedule (task_id);
CREATE INDEX ON ms_schedule (calendar) WHERE calendar IS NOT NULL;
CREATE INDEX ON ms_schedule (source) WHERE source IS NOT NULL;

-- Days on which schedules that name the calendar do not fire.
CREATE TABLE ms_calendar (
    name varchar(256) COLLATE "C" NOT NULL,
    day  date NOT NULL,
    PRIMARY KEY (name, day)
);

-- Who changes a schedule holds this row until the end of the transaction: versions come in the order of commits,
-- and whoever asks for what is newer than a version misses nothing.
CREATE TABLE kr_schedule_version (
    only_one boolean NOT NULL PRIMARY KEY DEFAULT true CHECK (only_one),
    version  bigint  NOT NULL
);
INSERT INTO kr_schedule_version (version) VALUES (1);

CREATE TABLE kr_schedule_deleted (
    uid        uuid NOT NULL PRIMARY KEY,
    name       varchar(256) COLLATE "C" NOT NULL,
    version    bigint NOT NULL,
    deleted_ts timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX ON kr_schedule_deleted (version);

-- What the API or a deploy wrote last: a row that says something else was edited with SQL since.
CREATE TABLE kr_schedule_origin (
    name       varchar(256) COLLATE "C" NOT NULL PRIMARY KEY,
    definition json NOT NULL,
    source     text,                    -- of the deploy that brought it; NULL: it was set by itself
    written_ts timestamptz NOT NULL DEFAULT now(),
    written_by text NOT NULL
);

-- All of these write by right of the owner: people may change schedules who may not write to our tables.
CREATE FUNCTION flower_schedules_change() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    EXECUTE format('UPDATE %I.kr_schedule_version SET version = version + 1', TG_TABLE_SCHEMA);
    IF TG_OP = 'TRUNCATE' THEN
        EXECUTE format('INSERT INTO %1$I.kr_schedule_deleted (uid, name, version) SELECT uid, name,'
            ' (SELECT version FROM %1$I.kr_schedule_version) FROM %1$I.ms_schedule'
            ' ON CONFLICT (uid) DO NOTHING', TG_TABLE_SCHEMA);
    END IF;
    RETURN NULL;
END
$$;

CREATE FUNCTION flower_schedule_changes() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    EXECUTE format('SELECT version FROM %I.kr_schedule_version', TG_TABLE_SCHEMA) INTO NEW.version;
    IF TG_OP = 'INSERT' THEN
        NEW.changed_ts := clock_timestamp();
        EXECUTE format('DELETE FROM %I.kr_schedule_deleted WHERE uid = $1', TG_TABLE_SCHEMA) USING NEW.uid;
    ELSE
        NEW.uid := OLD.uid;
        IF (NEW.cron, NEW.every_seconds, NEW.at, NEW.anchor, NEW.timezone, NEW.starts, NEW.ends, NEW.calendar,
                NEW.except_dates)
            IS DISTINCT FROM (OLD.cron, OLD.every_seconds, OLD.at, OLD.anchor, OLD.timezone, OLD.starts, OLD.ends,
                OLD.calendar, OLD.except_dates) THEN
            NEW.changed_ts := clock_timestamp();
        ELSE  -- the trigger of ms_calendar sets it, too
            NEW.changed_ts := least(greatest(OLD.changed_ts, NEW.changed_ts), clock_timestamp());
        END IF;
    END IF;
    RETURN NEW;
END
$$;

CREATE FUNCTION flower_schedules_deleted() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    EXECUTE format('INSERT INTO %1$I.kr_schedule_deleted (uid, name, version) SELECT uid, name,'
        ' (SELECT version FROM %1$I.kr_schedule_version) FROM old_rows ON CONFLICT (uid) DO NOTHING',
        TG_TABLE_SCHEMA);
    RETURN NULL;
END
$$;

CREATE TRIGGER flower_change BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE ON ms_schedule
    FOR EACH STATEMENT EXECUTE FUNCTION flower_schedules_change();
CREATE TRIGGER flower_row BEFORE INSERT OR UPDATE ON ms_schedule
    FOR EACH ROW EXECUTE FUNCTION flower_schedule_changes();
CREATE TRIGGER flower_deleted AFTER DELETE ON ms_schedule
    REFERENCING OLD TABLE AS old_rows
    FOR EACH STATEMENT EXECUTE FUNCTION flower_schedules_deleted();

-- What a schedule takes from elsewhere makes it new, too: days, its workflow, what tells its flows apart. Where no
-- schedule is concerned nothing is locked that others wait for. NULL means all.
CREATE FUNCTION flower_renew_schedules(schema_name text, field text, changed text[]) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    is_concerned boolean;
BEGIN
    EXECUTE format('SELECT EXISTS (SELECT FROM %I.ms_schedule WHERE CASE WHEN $1 IS NULL THEN %2$I IS NOT NULL'
        ' ELSE %2$I = ANY($1) END)', schema_name, field) INTO is_concerned USING changed;
    IF is_concerned THEN
        EXECUTE format('UPDATE %I.ms_schedule SET changed_ts = CASE WHEN $2 THEN clock_timestamp() ELSE changed_ts END'
            ' WHERE CASE WHEN $1 IS NULL THEN %2$I IS NOT NULL ELSE %2$I = ANY($1) END', schema_name, field)
            USING changed, field = 'calendar';
    END IF;
END
$$;

CREATE FUNCTION flower_days_change() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    changed text[];
BEGIN
    IF TG_OP = 'INSERT' THEN
        changed := ARRAY(SELECT DISTINCT name FROM new_rows);
    ELSIF TG_OP = 'DELETE' THEN
        changed := ARRAY(SELECT DISTINCT name FROM old_rows);
    ELSIF TG_OP = 'UPDATE' THEN
        changed := ARRAY(SELECT name FROM old_rows UNION SELECT name FROM new_rows);
    END IF;
    EXECUTE format('SELECT %I.flower_renew_schedules($1, $2, $3)', TG_TABLE_SCHEMA)
        USING TG_TABLE_SCHEMA, 'calendar', changed;
    RETURN NULL;
END
$$;
CREATE TRIGGER flower_inserted AFTER INSERT ON ms_calendar
    REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION flower_days_change();
CREATE TRIGGER flower_updated AFTER UPDATE ON ms_calendar
    REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION flower_days_change();
CREATE TRIGGER flower_deleted AFTER DELETE ON ms_calendar
    REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION flower_days_change();
CREATE TRIGGER flower_truncated AFTER TRUNCATE ON ms_calendar
    FOR EACH STATEMENT EXECUTE FUNCTION flower_days_change();

CREATE FUNCTION flower_scheduled_changes() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    changed text[];
BEGIN
    IF TG_OP = 'INSERT' THEN
        changed := ARRAY(SELECT DISTINCT task_id FROM new_rows);
    ELSIF TG_OP = 'DELETE' THEN
        changed := ARRAY(SELECT DISTINCT task_id FROM old_rows);
    ELSIF TG_OP = 'UPDATE' THEN
        changed := ARRAY(SELECT task_id FROM old_rows UNION SELECT task_id FROM new_rows);
    END IF;
    EXECUTE format('SELECT %I.flower_renew_schedules($1, $2, $3)', TG_TABLE_SCHEMA)
        USING TG_TABLE_SCHEMA, 'task_id', changed;
    RETURN NULL;
END
$$;
CREATE TRIGGER flower_schedules_inserted AFTER INSERT ON ms_task_definition
    REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION flower_scheduled_changes();
CREATE TRIGGER flower_schedules_updated AFTER UPDATE ON ms_task_definition
    REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION flower_scheduled_changes();
CREATE TRIGGER flower_schedules_deleted AFTER DELETE ON ms_task_definition
    REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION flower_scheduled_changes();
CREATE TRIGGER flower_schedules_truncated AFTER TRUNCATE ON ms_task_definition
    FOR EACH STATEMENT EXECUTE FUNCTION flower_scheduled_changes();
CREATE TRIGGER flower_schedules_inserted AFTER INSERT ON ms_workflow
    REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION flower_scheduled_changes();
CREATE TRIGGER flower_schedules_updated AFTER UPDATE ON ms_workflow
    REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION flower_scheduled_changes();
CREATE TRIGGER flower_schedules_deleted AFTER DELETE ON ms_workflow
    REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION flower_scheduled_changes();
CREATE TRIGGER flower_schedules_truncated AFTER TRUNCATE ON ms_workflow
    FOR EACH STATEMENT EXECUTE FUNCTION flower_scheduled_changes();

-- fair_by and limit_by give tasks of a plan their keys; those of a program concern any workflow.
CREATE FUNCTION flower_keys_change() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    is_key boolean := true;
BEGIN
    IF TG_OP = 'INSERT' THEN
        is_key := EXISTS (SELECT FROM new_rows WHERE fair_by IS NOT NULL OR limit_by IS NOT NULL);
    ELSIF TG_OP = 'DELETE' THEN
        is_key := EXISTS (SELECT FROM old_rows WHERE fair_by IS NOT NULL OR limit_by IS NOT NULL);
    ELSIF TG_OP = 'UPDATE' THEN
        is_key := EXISTS (SELECT scope, name, fair_by, limit_by FROM new_rows
                          EXCEPT SELECT scope, name, fair_by, limit_by FROM old_rows)
            OR EXISTS (SELECT scope, name, fair_by, limit_by FROM old_rows
                       EXCEPT SELECT scope, name, fair_by, limit_by FROM new_rows);
    END IF;
    IF is_key THEN
        EXECUTE format('SELECT %I.flower_renew_schedules($1, $2, NULL)', TG_TABLE_SCHEMA)
            USING TG_TABLE_SCHEMA, 'task_id';
    END IF;
    RETURN NULL;
END
$$;
CREATE TRIGGER flower_keys_inserted AFTER INSERT ON ms_flow_control
    REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION flower_keys_change();
CREATE TRIGGER flower_keys_updated AFTER UPDATE ON ms_flow_control
    REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION flower_keys_change();
CREATE TRIGGER flower_keys_deleted AFTER DELETE ON ms_flow_control
    REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION flower_keys_change();
CREATE TRIGGER flower_keys_truncated AFTER TRUNCATE ON ms_flow_control
    FOR EACH STATEMENT EXECUTE FUNCTION flower_keys_change();
