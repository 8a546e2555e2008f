-- The flows whose end lies in a gap, as Redis remembered it: of most nothing else is known, of some an earlier end.
CREATE TABLE kr_gap_flow (
    task_flow_id   varchar(256) COLLATE "C" NOT NULL PRIMARY KEY,
    partition      integer NOT NULL,
    until_position text NOT NULL,   -- of the gap, as in kr_gap
    version        integer,         -- at which the flow ended, or was parked; NULL: not known
    ended_ts       timestamptz,     -- when; NULL: not known
    known_version  integer          -- at which it had ended before, as kr_flow_stat has it; NULL: it is not there
);
INSERT INTO kr_gap_flow (task_flow_id, partition, until_position)
SELECT DISTINCT ON (flow) flow, partition, until_position FROM kr_gap, unnest(unseen) AS flow ORDER BY flow, found_ts;

-- Flows that are known by an earlier end: some of them, and how many.
ALTER TABLE kr_gap ADD COLUMN outdated text[] NOT NULL DEFAULT '{}';
ALTER TABLE kr_gap ADD COLUMN outdated_count integer NOT NULL DEFAULT 0;

-- Set where a row is older than the flow it is about: the version at which that ended, in a gap.
ALTER TABLE kr_flow_stat ADD COLUMN lost_version integer;
