-- What takes the place of a session where a pooler gives each transaction another one: of a session's lock, a
-- lease; of LISTEN, a table of changes that is looked at.

CREATE TABLE kr_projector (
    partition integer     NOT NULL PRIMARY KEY,
    holder    text        NOT NULL,
    until_ts  timestamptz NOT NULL   -- from then on another projector may have it
);

-- Who looks remembers the oldest transaction that was not over then, and asks for those since.
CREATE TABLE kr_definition_change (
    xid        xid8        NOT NULL DEFAULT pg_current_xact_id(),
    task_id    text COLLATE "C" NOT NULL,   -- as the notification has it
    changed_ts timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX ON kr_definition_change (xid);
CREATE INDEX ON kr_definition_change (changed_ts);

-- The tables are those beside the one that changed, whatever the search path of whoever changed it. It is
-- noted by right of the owner: people may change definitions who may not write to our tables.
CREATE FUNCTION flower_note_definitions(schema_name text, changed text[]) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    EXECUTE format('INSERT INTO %I.kr_definition_change (task_id) SELECT unnest($1)', schema_name)
        USING changed;
    EXECUTE format('DELETE FROM %1$I.kr_definition_change WHERE ctid IN (SELECT ctid FROM'
        ' %1$I.kr_definition_change WHERE changed_ts < now() - interval ''1 day'' LIMIT 1000'
        ' FOR UPDATE SKIP LOCKED)', schema_name);
END
$$;

CREATE OR REPLACE FUNCTION flower_tell_definitions() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    most CONSTANT integer := 100;
    changed text[];
BEGIN
    IF TG_OP = 'INSERT' THEN
        changed := ARRAY(SELECT DISTINCT task_id FROM new_rows LIMIT most + 1);
    ELSIF TG_OP = 'DELETE' THEN
        changed := ARRAY(SELECT DISTINCT task_id FROM old_rows LIMIT most + 1);
    ELSIF TG_OP = 'UPDATE' THEN
        changed := ARRAY(SELECT task_id FROM old_rows UNION SELECT task_id FROM new_rows LIMIT most + 1);
    END IF;
    IF TG_OP = 'TRUNCATE' OR cardinality(changed) > most THEN
        changed := ARRAY[''];
    END IF;
    PERFORM pg_notify('flower_definitions', task_id) FROM unnest(changed) AS task_id;
    EXECUTE format('SELECT %I.flower_note_definitions($1, $2)', TG_TABLE_SCHEMA)
        USING TG_TABLE_SCHEMA, changed;
    RETURN NULL;
END
$$;

CREATE OR REPLACE FUNCTION flower_tell_flow_control() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    EXECUTE format('UPDATE %I.kr_flow_control_version SET version = version + 1', TG_TABLE_SCHEMA);
    PERFORM pg_notify('flower_definitions', '');  -- plans carry keys (fair_by, limit_by)
    EXECUTE format('SELECT %I.flower_note_definitions($1, $2)', TG_TABLE_SCHEMA)
        USING TG_TABLE_SCHEMA, ARRAY[''];
    RETURN NULL;
END
$$;
