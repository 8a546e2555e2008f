-- A partition that is retired gets no new flows, and is taken away when the last one has ended. Its row stays: its flows lie
-- in the archive.
ALTER TABLE kr_projection ADD COLUMN retiring_ts timestamptz;  -- since then it gets no new flows; NULL: it does
ALTER TABLE kr_projection ADD COLUMN retired_ts timestamptz;   -- since then nobody works on it
