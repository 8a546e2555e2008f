-- Recovery of Redis from the archive.

-- What only a Redis held that had gone back in time: the archive's history wins, but nothing is thrown away.
-- Registrations among these are registered again by the recovery that found them.
CREATE TABLE kr_fork_event (
    partition    integer NOT NULL,
    generation   bigint NOT NULL,   -- of the recovery that found it
    position_ms  bigint NOT NULL,   -- where it lay in the forked log
    position_seq bigint NOT NULL,
    task_flow_id varchar(256) COLLATE "C",
    type         text,
    raw          bytea NOT NULL,    -- the event's JSON, as it was found
    found_ts     timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (partition, generation, position_ms, position_seq)
);

CREATE INDEX kr_fork_event_task_flow_id ON kr_fork_event (task_flow_id);
