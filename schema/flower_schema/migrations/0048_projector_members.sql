-- The projectors that live, and what each is elected for: so they share the partitions among them.
CREATE TABLE kr_projector_member (
    member     text        NOT NULL PRIMARY KEY,
    pid        integer,                -- of its session; NULL: behind a pooler nobody sees when that ends
    seen_ts    timestamptz NOT NULL,
    partitions integer[]   NOT NULL,
    wants      integer     NOT NULL    -- how many more it would take
);
