-- Hooks: whom Flower tells when something becomes of flows. People write ms_hook; a row that makes no sense is told
-- by `flower hooks`, and stands in the way of no other.
CREATE TABLE ms_hook (
    name               varchar(256) COLLATE "C" NOT NULL PRIMARY KEY,
    task_id            varchar(256) COLLATE "C",       -- of whose flows it tells; NULL: of all
    occasions          text[] NOT NULL,                -- flow.failed, flow.finished, flow.cancelled, flow.late,
                                                       -- slot.missed
    kind               text NOT NULL,                  -- webhook, command, python
    target             text NOT NULL,                  -- a URL; the name of a command or of a Python hook
    secret             text,                           -- name of the secret that signs webhooks; NULL: unsigned
    late_after_seconds numeric,                        -- from when on a flow is late that has not ended
    is_paused          boolean NOT NULL DEFAULT false, -- what happens meanwhile is never told
    reason             text NOT NULL DEFAULT '',
    changed_by         text NOT NULL DEFAULT '',
    created_ts         timestamptz NOT NULL DEFAULT now(),
    changed_ts         timestamptz NOT NULL DEFAULT now()
);

-- Up to where flows were looked at for one that is late: registered, or due to start, before then.
CREATE TABLE kr_hook (
    name    varchar(256) COLLATE "C" NOT NULL PRIMARY KEY,
    late_to timestamptz NOT NULL
);

-- Flows that are held up by failed tasks, and by how many: of each such time the first failure is told.
CREATE TABLE kr_hook_failing (
    task_flow_id varchar(256) COLLATE "C" NOT NULL PRIMARY KEY,
    suspended    integer NOT NULL
);

-- The ledger: what hooks told, or are still to tell.
CREATE TABLE kr_hook_delivery (
    id           text COLLATE "C" NOT NULL PRIMARY KEY, -- the same for the same thing of the same hook
    hook         varchar(256) COLLATE "C" NOT NULL,
    occasion     text NOT NULL,
    task_flow_id varchar(256) COLLATE "C",
    body         text NOT NULL,                         -- as it is sent, byte for byte
    state        text NOT NULL DEFAULT 'waiting',       -- waiting, delivered, given_up
    attempts     integer NOT NULL DEFAULT 0,
    created_ts   timestamptz NOT NULL DEFAULT now(),
    since_ts     timestamptz NOT NULL DEFAULT now(),    -- from when on the day counts after which it is given up
    next_ts      timestamptz NOT NULL DEFAULT now(),    -- the next attempt; while one is made, when it counts as lost
    last_ts      timestamptz,                           -- of the last attempt
    status       integer,                               -- of its answer: of HTTP, or the exit status of a command
    answer       text NOT NULL DEFAULT '',              -- the beginning of it
    error        text NOT NULL DEFAULT ''               -- why it did not work
);
CREATE INDEX ON kr_hook_delivery (hook, next_ts) WHERE state = 'waiting';
CREATE INDEX ON kr_hook_delivery (hook, created_ts, id);
CREATE INDEX ON kr_hook_delivery (created_ts);
CREATE INDEX ON kr_hook_delivery (task_flow_id) WHERE task_flow_id IS NOT NULL;

-- Flows that are to start later: whether they are late counts from then.
CREATE INDEX kr_flow_stat_start ON kr_flow_stat (start_ts) WHERE start_ts IS NOT NULL AND finished_ts IS NULL;
