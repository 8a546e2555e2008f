-- What people did to flows, as the log tells it: by kind and time, and by who it was. Events that the engine made by itself
-- are not in here (of answers: what is no signal and no answer to an approval); a flow that a schedule or another flow began
-- has nobody who began it.
CREATE INDEX kr_event_acts ON kr_event (type, position_ms, partition, position_seq)
    WHERE type IN ('flow.registered', 'flow.rerun', 'flow.cancelled', 'flow.ending', 'flow.paused', 'flow.resumed',
            'flow.prioritised', 'flow.signalled', 'task.ignored', 'task.unignored', 'task.voted', 'task.answered')
        AND (event IS NULL OR event ->> 'by' NOT IN ('', 'time', 'timeout', 'on_failure', 'parent')
            AND (type <> 'task.answered' OR event ? 'signal' OR event -> 'result' ?& ARRAY['answer', 'by', 'at']));
CREATE INDEX kr_event_acts_by ON kr_event (type, (event ->> 'by'), position_ms, partition, position_seq)
    WHERE type IN ('flow.registered', 'flow.rerun', 'flow.cancelled', 'flow.ending', 'flow.paused', 'flow.resumed',
            'flow.prioritised', 'flow.signalled', 'task.ignored', 'task.unignored', 'task.voted', 'task.answered')
        AND event ->> 'by' NOT IN ('', 'time', 'timeout', 'on_failure', 'parent')
        AND (type <> 'task.answered' OR event ? 'signal' OR event -> 'result' ?& ARRAY['answer', 'by', 'at']);
