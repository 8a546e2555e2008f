-- Backfills: slots of the past that get their flow after all, or have it rerun. Whoever makes one, over HTTP or with
-- SQL, says what is wanted; a watcher lists its slots and works them off.
CREATE TABLE ms_backfill (
    id           uuid NOT NULL PRIMARY KEY DEFAULT gen_random_uuid(),
    schedule     varchar(256) COLLATE "C" NOT NULL,  -- its name
    first_slot   timestamptz NOT NULL,               -- slots from here on
    last_slot    timestamptz NOT NULL,               -- and up to here
    which        text NOT NULL DEFAULT 'missed',     -- those without a flow; failed: those whose flow failed; all
    newest_first boolean NOT NULL DEFAULT false,
    most_at_once integer NOT NULL DEFAULT 1,         -- flows under way
    priority     integer NOT NULL DEFAULT 19,        -- of all tasks of flows that it fires
    is_paused    boolean NOT NULL DEFAULT false,
    is_cancelled boolean NOT NULL DEFAULT false,
    reason       text NOT NULL DEFAULT '',
    created_ts   timestamptz NOT NULL DEFAULT now(),
    created_by   text NOT NULL DEFAULT ''
);
CREATE INDEX ON ms_backfill (schedule, created_ts);

CREATE TABLE kr_backfill (
    id         uuid NOT NULL PRIMARY KEY REFERENCES ms_backfill ON DELETE CASCADE,
    uid        uuid,                                 -- of the schedule
    state      text NOT NULL,                        -- open, finished, cancelled, problem
    problem    text NOT NULL DEFAULT '',             -- what keeps it from going on
    planned_ts timestamptz NOT NULL DEFAULT now(),
    ended_ts   timestamptz
);
CREATE INDEX ON kr_backfill (state) WHERE state = 'open';

CREATE TABLE kr_backfill_slot (
    id           uuid NOT NULL REFERENCES kr_backfill ON DELETE CASCADE,
    slot         timestamptz NOT NULL,
    action       text NOT NULL,                      -- fire, rerun
    state        text NOT NULL DEFAULT 'waiting',    -- waiting, sent, running, ended, failed, refused
    flow         varchar(256) COLLATE "C" NOT NULL DEFAULT '',
    flow_version integer NOT NULL DEFAULT 0,         -- from which its row in kr_flow_stat counts
    detail       text NOT NULL DEFAULT '',
    PRIMARY KEY (id, slot)
);
CREATE INDEX ON kr_backfill_slot (id, slot) WHERE state IN ('waiting', 'sent', 'running');
