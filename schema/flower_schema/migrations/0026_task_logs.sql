-- What attempts wrote: a row for each chunk of consecutive lines of one attempt, one table a day (UTC) by the
-- millisecond of its position in the stream of task logs. Nothing of it follows from events: a replay leaves it
-- alone. A chunk may be there twice, where Redis was lost meanwhile: whoever reads goes by the numbers of lines.
CREATE TABLE kr_task_log (
    partition     integer NOT NULL,
    position_ms   bigint NOT NULL,   -- the entry of the stream that brought it: "<position_ms>-<position_seq>"
    position_seq  bigint NOT NULL,
    chunk         integer NOT NULL,  -- its place in that entry
    task_flow_id  varchar(256) COLLATE "C" NOT NULL,
    task_exec_seq integer NOT NULL,
    attempt       integer NOT NULL,
    first_line    bigint NOT NULL,   -- numbers of lines count from 1 in each attempt
    last_line     bigint NOT NULL,
    skipped       bigint NOT NULL,   -- lines before the first that the worker left out
    top_level     integer NOT NULL,  -- the highest level of its lines
    lines         json,              -- [[number, ms, stream, level, logger, text], ...]; NULL: they are in a blob
    blob          text COLLATE "C",  -- its sha256, in FLOWER_TASK_LOG_STORE
    blob_offset   bigint,
    blob_bytes    bigint
) PARTITION BY RANGE (position_ms);

CREATE INDEX kr_task_log_attempt ON kr_task_log (task_flow_id, task_exec_seq, attempt, last_line);
CREATE INDEX kr_task_log_blob ON kr_task_log (blob) WHERE blob IS NOT NULL;

-- Takes what no table of a day is there for yet.
CREATE TABLE kr_task_log_default PARTITION OF kr_task_log DEFAULT;

-- How far the stream of each partition is stored.
CREATE TABLE kr_task_log_position (
    partition  integer NOT NULL PRIMARY KEY,
    position   text NOT NULL,
    updated_ts timestamptz NOT NULL DEFAULT now()
) WITH (fillfactor = 50);
