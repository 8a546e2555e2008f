-- The seed's two tables with Flower's additions, one row per flow, the archive, and the projector's positions.
--
-- Ids are compared byte by byte (COLLATE "C"): the same order and speed on every server, whatever its locale.

-- What people define: the tasks of each workflow. Columns up to param5_value are the seed's.
CREATE TABLE ms_task_definition (
    task_id       varchar(256) COLLATE "C" NOT NULL,
    task_seq      numeric NOT NULL,
    program       varchar(256) NOT NULL,
    task_priority numeric NOT NULL,
    param1_key    varchar(1024),
    param1_value  varchar(1024),
    param2_key    varchar(1024),
    param2_value  varchar(1024),
    param3_key    varchar(1024),
    param3_value  varchar(1024),
    param4_key    varchar(1024),
    param4_value  varchar(1024),
    param5_key    varchar(1024),
    param5_value  varchar(1024),
    depends_on    integer[],    -- task_seqs; NULL: the previous task_seq (the seed's rule), {}: none
    parameters    jsonb,        -- an object: parameters beyond the five pairs, of any JSON type
    queue         varchar(256), -- NULL: default
    PRIMARY KEY (task_id, task_seq)
);

-- The tasks of each flow. Columns up to suspended_ts are the seed's; written by the projector only.
-- The rows of a page change together soon after they were inserted; the free space lets them stay there.
CREATE TABLE kr_task_stat (
    task_flow_id          varchar(256) COLLATE "C" NOT NULL,
    task_exec_seq         numeric NOT NULL,
    depends_task_exec_seq numeric NOT NULL, -- -1 for a root, else the highest dependency
    task_id               varchar(256) COLLATE "C" NOT NULL,
    task_seq              numeric NOT NULL,
    exec_status           numeric NOT NULL, -- 0 Wait, 1 Running, 2 Suspend, 3 Finish, 9 Ignore
    task_priority         numeric NOT NULL,
    parameters            json NOT NULL,
    registered_ts         timestamptz,
    started_ts            timestamptz,      -- of the latest attempt
    finished_ts           timestamptz,
    suspended_ts          timestamptz,
    depends_on            integer[],        -- task_exec_seqs, all of them
    program               varchar(256),
    queue                 varchar(256),
    attempt               integer,          -- attempts so far; 0: never started
    lost                  integer,          -- workers lost on this task so far
    worker                text,             -- of the latest attempt
    result                jsonb,
    error                 jsonb,            -- {"type", "message", "traceback"} of the latest failure
    wait_reason           text,
    PRIMARY KEY (task_flow_id, task_exec_seq)
) WITH (fillfactor = 70);

-- Failed tasks, newest first. suspended_ts rather than exec_status decides, so that a change of status alone
-- touches no index (a heap-only update).
CREATE INDEX kr_task_stat_suspended ON kr_task_stat (suspended_ts) WHERE suspended_ts IS NOT NULL;

-- The flows. Written by the projector only.
CREATE TABLE kr_flow_stat (
    task_flow_id  varchar(256) COLLATE "C" NOT NULL PRIMARY KEY,
    task_id       varchar(256) COLLATE "C" NOT NULL,
    exec_status   numeric NOT NULL,     -- of the whole flow: 0 Wait, 1 Running, 2 Suspend, 3 Finish
    partition     integer NOT NULL,
    version       integer NOT NULL,     -- how many events it has had
    tasks         integer NOT NULL,
    waiting       integer NOT NULL,     -- how many of its tasks are Wait...
    running       integer NOT NULL,
    suspended     integer NOT NULL,
    finished      integer NOT NULL,
    ignored       integer NOT NULL,
    registered_ts timestamptz NOT NULL,
    started_ts    timestamptz,          -- of its first attempt
    finished_ts   timestamptz,          -- of its end
    suspended_ts  timestamptz,          -- of its latest failure
    first_ms      bigint NOT NULL,      -- its events lie in kr_event between these positions
    last_ms       bigint NOT NULL
) WITH (fillfactor = 50);

-- Lists of flows, newest first (read backwards): all, of a workflow, those under way, those that failed.
-- No index depends on a column that changes while a flow goes on: such changes touch no index (heap-only
-- updates), except for a failure and the end. Ask for "finished_ts IS NULL" to have those under way, and for
-- "suspended_ts IS NOT NULL" to have those that failed.
CREATE INDEX kr_flow_stat_registered ON kr_flow_stat (registered_ts, task_flow_id);
CREATE INDEX kr_flow_stat_task_id ON kr_flow_stat (task_id, registered_ts, task_flow_id);
CREATE INDEX kr_flow_stat_open ON kr_flow_stat (registered_ts, task_flow_id) WHERE finished_ts IS NULL;
CREATE INDEX kr_flow_stat_suspended ON kr_flow_stat (registered_ts, task_flow_id)
    WHERE suspended_ts IS NOT NULL;

-- The archive of the log, append-only, one table a day (UTC) by the millisecond of the event's position,
-- which is Redis' time when it was written: to_timestamp(position_ms / 1000.0).
CREATE TABLE kr_event (
    partition    integer NOT NULL,
    position_ms  bigint NOT NULL,   -- the position in the log is "<position_ms>-<position_seq>"
    position_seq bigint NOT NULL,
    task_flow_id varchar(256) COLLATE "C",
    type         text,
    event        jsonb,             -- NULL where Postgres refused it: then raw and error say what and why
    raw          bytea,
    error        text,
    PRIMARY KEY (partition, position_ms, position_seq)
) PARTITION BY RANGE (position_ms);

CREATE INDEX kr_event_task_flow_id ON kr_event (task_flow_id, position_ms, position_seq);

-- Takes what no table of a day is there for yet, so that archiving never fails for want of one.
CREATE TABLE kr_event_default PARTITION OF kr_event DEFAULT;

-- How far each partition of the log is projected, and the installation that log belongs to.
CREATE TABLE kr_projection (
    partition    integer NOT NULL PRIMARY KEY,
    position     text,              -- NULL: nothing yet
    installation text NOT NULL,
    generation   bigint NOT NULL,
    partitions   integer NOT NULL,
    updated_ts   timestamptz NOT NULL DEFAULT now()
) WITH (fillfactor = 50);
