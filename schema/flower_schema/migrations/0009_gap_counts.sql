-- How many flows a gap swallowed; kr_gap.unseen names some of them.
ALTER TABLE kr_gap ADD COLUMN unseen_count integer NOT NULL DEFAULT 0;
