-- All flows of a pinned workflow are registered in one partition, or those with the same value of limit_by are: so what is
-- limited for each value, or refused beyond a limit, is counted in one place. 'workflow', 'key'; NULL: they are spread.
ALTER TABLE ms_workflow ADD COLUMN pin text;
-- How limits are shared follows from it.
CREATE TRIGGER flower_pinned AFTER INSERT ON ms_workflow
    FOR EACH ROW WHEN (NEW.pin IS NOT NULL) EXECUTE FUNCTION flower_tell_flow_control();
CREATE TRIGGER flower_repinned AFTER UPDATE ON ms_workflow
    FOR EACH ROW WHEN (OLD.pin IS DISTINCT FROM NEW.pin) EXECUTE FUNCTION flower_tell_flow_control();
CREATE TRIGGER flower_unpinned AFTER DELETE ON ms_workflow
    FOR EACH ROW WHEN (OLD.pin IS NOT NULL) EXECUTE FUNCTION flower_tell_flow_control();
