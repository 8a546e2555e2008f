-- What became of schedules and their slots. All of it follows from events, as the tables of flows do; what retention
-- has taken away is counted in kr_schedule, of which no row ever goes.

CREATE TABLE kr_schedule (
    uid            uuid NOT NULL PRIMARY KEY,
    partition      integer NOT NULL,
    name           text NOT NULL DEFAULT '',
    version        bigint NOT NULL DEFAULT 0,      -- of the definition that holds
    state          text NOT NULL DEFAULT 'active', -- active, paused, finished, problem or deleted
    problem        text NOT NULL DEFAULT '',
    cursor         timestamptz NOT NULL,           -- every slot up to here has its fate
    last_slot      timestamptz,                    -- that fired
    last_flow      varchar(256) COLLATE "C",
    fired          bigint NOT NULL DEFAULT 0,      -- slots; those that backfills fired, too
    skipped        bigint NOT NULL DEFAULT 0,
    missed         bigint NOT NULL DEFAULT 0,
    failures       integer NOT NULL DEFAULT 0,     -- of its flows, in a row
    pruned_to      timestamptz,                    -- rows of slots up to here may have gone
    pruned_fired   bigint NOT NULL DEFAULT 0,      -- of the counts, those whose rows have gone
    pruned_skipped bigint NOT NULL DEFAULT 0,
    pruned_missed  bigint NOT NULL DEFAULT 0
);
CREATE INDEX ON kr_schedule (partition);

-- One row for a slot, or for many in a row that were skipped or missed for one reason.
CREATE TABLE kr_schedule_slot (
    uid         uuid NOT NULL,
    slot        timestamptz NOT NULL,          -- the first one
    backfill    text NOT NULL DEFAULT '',      -- that fired it, beside its own fate
    until       timestamptz NOT NULL,          -- the last one
    count       integer NOT NULL DEFAULT 1,
    state       text NOT NULL,                 -- fired, skipped, missed; held: it waits for its fate
    reason      text NOT NULL DEFAULT '',
    detail      text NOT NULL DEFAULT '',
    flow        varchar(256) COLLATE "C" NOT NULL DEFAULT '',
    late_ms     bigint NOT NULL DEFAULT 0,
    decided_ts  timestamptz NOT NULL,
    position_ms bigint NOT NULL,               -- of its event
    PRIMARY KEY (uid, slot, backfill)
);
CREATE INDEX ON kr_schedule_slot (position_ms);

ALTER TABLE kr_flow_stat
    ADD COLUMN schedule         text,          -- uid of the schedule that fired it
    ADD COLUMN slot_ts          timestamptz,
    ADD COLUMN previous_slot_ts timestamptz,
    ADD COLUMN next_slot_ts     timestamptz;
CREATE INDEX ON kr_flow_stat (schedule, slot_ts) WHERE schedule IS NOT NULL;
