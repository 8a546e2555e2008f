-- Tasks that somebody passed over together are one act (tasks.ignored), beside those of 0037.
DROP INDEX kr_event_acts;
DROP INDEX kr_event_acts_by;
CREATE INDEX kr_event_acts ON kr_event (type, position_ms, partition, position_seq)
    WHERE type IN ('flow.registered', 'flow.rerun', 'flow.cancelled', 'flow.ending', 'flow.paused', 'flow.resumed',
            'flow.prioritised', 'flow.signalled', 'task.ignored', 'tasks.ignored', 'task.unignored', 'task.voted', 'task.answered')
        AND (event IS NULL OR event ->> 'by' NOT IN ('', 'time', 'timeout', 'on_failure', 'parent')
            AND (type <> 'task.answered' OR event ? 'signal' OR event -> 'result' ?& ARRAY['answer', 'by', 'at']));
CREATE INDEX kr_event_acts_by ON kr_event (type, (event ->> 'by'), position_ms, partition, position_seq)
    WHERE type IN ('flow.registered', 'flow.rerun', 'flow.cancelled', 'flow.ending', 'flow.paused', 'flow.resumed',
            'flow.prioritised', 'flow.signalled', 'task.ignored', 'tasks.ignored', 'task.unignored', 'task.voted', 'task.answered')
        AND event ->> 'by' NOT IN ('', 'time', 'timeout', 'on_failure', 'parent')
        AND (type <> 'task.answered' OR event ? 'signal' OR event -> 'result' ?& ARRAY['answer', 'by', 'at']);
