-- What people did beside the log: to definitions, limits, schedules, hooks, backfills; sessions, links, operations on many
-- flows. Triggers note what is done to tables, in the same transaction, whoever does it.
CREATE TABLE kr_audit (
    id      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at_ms   bigint NOT NULL DEFAULT floor(extract(epoch FROM clock_timestamp()) * 1000),
    tx      xid8   NOT NULL DEFAULT pg_current_xact_id(),
    by      text   COLLATE "C" NOT NULL, -- a token's name, as in events; sql:ROLE: somebody who used SQL
    act     text   COLLATE "C" NOT NULL, -- schedule.paused
    name    text   COLLATE "C",          -- of what it was done to
    task_id text   COLLATE "C",          -- the workflow that it concerns
    flow    text   COLLATE "C",
    reason  text   NOT NULL DEFAULT '',
    details jsonb                        -- of a change: {column: [before, after]}
);
CREATE INDEX ON kr_audit (at_ms, id);
CREATE INDEX ON kr_audit (act, at_ms, id);
CREATE INDEX ON kr_audit (name, tx) WHERE act LIKE 'workflow.%';

-- For each row. The API says in its transaction who acts (flower.by). Arguments: what it is, the columns of its name, that of
-- its workflow, and columns that say nothing. Values are shown up to 200 characters, and not at all where they may be secret.
CREATE FUNCTION flower_note_row() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    silent CONSTANT text[] := string_to_array(TG_ARGV[3], ' ');
    was    jsonb := CASE WHEN TG_OP = 'INSERT' THEN '{}' ELSE to_jsonb(OLD) END;
    now    jsonb := CASE WHEN TG_OP = 'DELETE' THEN '{}' ELSE to_jsonb(NEW) END;
    shown  jsonb := CASE WHEN TG_OP = 'DELETE' THEN was ELSE now END;
    said   jsonb;
    done   text;
BEGIN
    SELECT jsonb_object_agg(key, CASE WHEN key IN ('target', 'value') THEN 'null' ELSE jsonb_build_array(
            CASE WHEN length((was -> key)::text) > 200 THEN to_jsonb(left((was -> key)::text, 200)) ELSE was -> key END,
            CASE WHEN length((now -> key)::text) > 200 THEN to_jsonb(left((now -> key)::text, 200)) ELSE now -> key END)
        END)
        INTO said FROM jsonb_object_keys(shown) AS key
        WHERE was -> key IS DISTINCT FROM now -> key AND key <> ALL (silent)
            AND (TG_OP = 'UPDATE' OR shown -> key NOT IN ('null', 'false', '""'));
    IF said IS NULL AND TG_OP = 'UPDATE' THEN
        RETURN NULL;
    END IF;
    done := CASE WHEN TG_OP = 'INSERT' THEN 'added' WHEN TG_OP = 'DELETE' THEN 'deleted'
        WHEN said ? 'is_cancelled' THEN 'cancelled'
        WHEN NOT said ? 'is_paused' OR said - 'is_paused' - 'reason' <> '{}' THEN 'changed'
        WHEN now -> 'is_paused' = 'true' THEN 'paused' ELSE 'resumed' END;
    EXECUTE format('INSERT INTO %I.kr_audit (by, act, name, task_id, reason, details)'
        ' VALUES (coalesce(nullif(current_setting(''flower.by'', true), ''''), ''sql:'' || session_user),'
        ' $1, $2, $3, $4, $5)', TG_TABLE_SCHEMA) USING TG_ARGV[0] || '.' || done,
        (SELECT string_agg(nullif(shown ->> key, ''), ' ' ORDER BY place)
            FROM unnest(string_to_array(TG_ARGV[1], ' ')) WITH ORDINALITY AS named (key, place)),
        CASE WHEN shown ->> 'scope' = 'workflow' THEN shown ->> 'name' ELSE shown ->> TG_ARGV[2] END,
        coalesce(now ->> 'reason', ''), CASE WHEN TG_OP = 'DELETE' THEN NULL ELSE said END;
    RETURN NULL;
END
$$;
CREATE TRIGGER flower_noted AFTER INSERT OR UPDATE OR DELETE ON ms_flow_control
    FOR EACH ROW EXECUTE FUNCTION flower_note_row('limit', 'scope name', '', 'scope name changed_by reason');
CREATE TRIGGER flower_noted AFTER INSERT OR UPDATE OR DELETE ON ms_strike
    FOR EACH ROW EXECUTE FUNCTION flower_note_row('strike', 'strike_id', '', 'strike_id made_by made_ts reason');
CREATE TRIGGER flower_noted AFTER INSERT OR UPDATE OR DELETE ON ms_schedule
    FOR EACH ROW EXECUTE FUNCTION flower_note_row('schedule', 'name', 'task_id', 'name uid created_ts changed_ts changed_by version');
CREATE TRIGGER flower_noted AFTER INSERT OR UPDATE OR DELETE ON ms_calendar
    FOR EACH ROW EXECUTE FUNCTION flower_note_row('calendar', 'name', '', 'name');
CREATE TRIGGER flower_noted AFTER INSERT OR UPDATE OR DELETE ON ms_hook
    FOR EACH ROW EXECUTE FUNCTION flower_note_row('hook', 'name', 'task_id', 'name changed_by created_ts changed_ts');
CREATE TRIGGER flower_noted AFTER INSERT OR UPDATE ON ms_backfill
    FOR EACH ROW EXECUTE FUNCTION flower_note_row('backfill', 'schedule id', '', 'id schedule created_ts created_by reason');
CREATE TRIGGER flower_noted AFTER INSERT ON kr_signal
    FOR EACH ROW EXECUTE FUNCTION flower_note_row('signal', 'name', '', 'id name payload sent_by sent_ts taken is_over');

-- Workflows have many rows, in two tables, which the API writes anew: what one transaction does to one is one act.
CREATE FUNCTION flower_note_workflows() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    changed text[];
    rows    bigint;
    one     text;
    said    text;
    done    text;
BEGIN
    IF TG_OP = 'INSERT' THEN
        changed := ARRAY(SELECT DISTINCT task_id FROM new_rows);
    ELSIF TG_OP = 'DELETE' THEN
        changed := ARRAY(SELECT DISTINCT task_id FROM old_rows);
    ELSE
        changed := ARRAY(SELECT task_id FROM old_rows UNION SELECT task_id FROM new_rows);
    END IF;
    FOREACH one IN ARRAY changed LOOP
        EXECUTE format('SELECT act FROM %I.kr_audit WHERE name = $1 AND tx = pg_current_xact_id()'
            ' AND act LIKE ''workflow.%%'' AND at_ms >= floor(extract(epoch FROM now()) * 1000)', TG_TABLE_SCHEMA)
            INTO said USING one;
        done := 'workflow.changed';
        IF TG_TABLE_NAME = 'ms_task_definition' AND TG_OP <> 'UPDATE' THEN
            EXECUTE format('SELECT count(*) FROM %I.ms_task_definition WHERE task_id = $1', TG_TABLE_SCHEMA)
                INTO rows USING one;
            IF TG_OP = 'DELETE' AND rows = 0 THEN
                done := 'workflow.deleted';
            ELSIF TG_OP = 'INSERT' AND said IS DISTINCT FROM 'workflow.deleted' THEN
                IF rows = (SELECT count(*) FROM new_rows WHERE task_id = one) THEN
                    done := 'workflow.added';
                END IF;
            END IF;
        END IF;
        IF said IS NULL THEN
            EXECUTE format('INSERT INTO %I.kr_audit (by, act, name, task_id)'
                ' VALUES (coalesce(nullif(current_setting(''flower.by'', true), ''''), ''sql:'' || session_user),'
                ' $1, $2, $2)', TG_TABLE_SCHEMA) USING done, one;
        ELSIF TG_TABLE_NAME = 'ms_task_definition' AND TG_OP <> 'UPDATE' AND said <> done
                AND (said <> 'workflow.added' OR done = 'workflow.deleted') THEN
            EXECUTE format('UPDATE %I.kr_audit SET act = $2 WHERE name = $1 AND tx = pg_current_xact_id()'
                ' AND act LIKE ''workflow.%%'' AND at_ms >= floor(extract(epoch FROM now()) * 1000)', TG_TABLE_SCHEMA)
                USING one, done;
        END IF;
    END LOOP;
    RETURN NULL;
END
$$;
CREATE TRIGGER flower_noted_inserted AFTER INSERT ON ms_task_definition REFERENCING NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION flower_note_workflows();
CREATE TRIGGER flower_noted_updated AFTER UPDATE ON ms_task_definition REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION flower_note_workflows();
CREATE TRIGGER flower_noted_deleted AFTER DELETE ON ms_task_definition REFERENCING OLD TABLE AS old_rows
    FOR EACH STATEMENT EXECUTE FUNCTION flower_note_workflows();
CREATE TRIGGER flower_noted_inserted AFTER INSERT ON ms_workflow REFERENCING NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION flower_note_workflows();
CREATE TRIGGER flower_noted_updated AFTER UPDATE ON ms_workflow REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION flower_note_workflows();
CREATE TRIGGER flower_noted_deleted AFTER DELETE ON ms_workflow REFERENCING OLD TABLE AS old_rows
    FOR EACH STATEMENT EXECUTE FUNCTION flower_note_workflows();
