-- How far each of those that read the archive for somebody else (hooks, traces) has come, in each partition.
CREATE TABLE kr_follower (
    name         text COLLATE "C" NOT NULL,
    partition    integer NOT NULL,
    position_ms  bigint NOT NULL,   -- of the last event that it is done with; 0, 0: none yet
    position_seq bigint NOT NULL,
    pruned_ms    bigint,            -- set by a prune: of what it had not read, events before this are gone
    PRIMARY KEY (name, partition)
) WITH (fillfactor = 50);
