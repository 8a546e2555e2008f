-- Every change of ms_task_definition is told on the channel flower_definitions: one notification for each
-- workflow changed, with its task_id; an empty one says that many, perhaps all, have changed.
--
-- A statement tells once, however many rows it touches.

CREATE FUNCTION flower_tell_definitions() RETURNS trigger LANGUAGE plpgsql AS $$
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
    RETURN NULL;
END
$$;

CREATE TRIGGER flower_inserted AFTER INSERT ON ms_task_definition
    REFERENCING NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION flower_tell_definitions();

CREATE TRIGGER flower_updated AFTER UPDATE ON ms_task_definition
    REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION flower_tell_definitions();

CREATE TRIGGER flower_deleted AFTER DELETE ON ms_task_definition
    REFERENCING OLD TABLE AS old_rows
    FOR EACH STATEMENT EXECUTE FUNCTION flower_tell_definitions();

CREATE TRIGGER flower_truncated AFTER TRUNCATE ON ms_task_definition
    FOR EACH STATEMENT EXECUTE FUNCTION flower_tell_definitions();
