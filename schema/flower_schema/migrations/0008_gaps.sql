-- Parts of the log that no archive has: a Postgres was restored from a backup, or begun anew, and Redis no
-- longer had everything that came after it. Flows that were under way were found as they stood (flow.snapshot);
-- those that had ended meanwhile were closed.
CREATE TABLE kr_gap (
    partition       integer NOT NULL,
    after_position  text,               -- the last event that is known; NULL: none is
    before_position text NOT NULL,      -- the first event that Redis still had
    until_position  text NOT NULL,      -- the last event that bridges the gap
    found_ts        timestamptz NOT NULL DEFAULT now(),
    found           integer NOT NULL,   -- flows that were under way, and so are known again
    closed          text[] NOT NULL,    -- flows that Postgres took for open; how they ended is lost
    unseen          text[] NOT NULL,    -- flows that ended of late and of which nothing else is known
    PRIMARY KEY (partition, until_position)
);
