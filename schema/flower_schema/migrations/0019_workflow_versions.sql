-- What workflows were and are: each definition that was ever in use, under the hash of its canonical JSON.
CREATE TABLE ms_workflow_version (
    task_id    varchar(256) COLLATE "C" NOT NULL,
    hash       text COLLATE "C" NOT NULL,
    number     integer      NOT NULL,
    definition json         NOT NULL,   -- as it was hashed, byte for byte
    created_ts timestamptz  NOT NULL DEFAULT now(),
    created_by text,                    -- NULL: found in rows that were edited with SQL
    used_ts    timestamptz  NOT NULL DEFAULT clock_timestamp(),  -- the latest is the newest version
    PRIMARY KEY (task_id, hash),
    UNIQUE (task_id, number)
);

CREATE INDEX ON ms_workflow_version (task_id, used_ts);

-- What the API wrote last: rows that say something else were edited with SQL since.
CREATE TABLE kr_workflow_origin (
    task_id    varchar(256) COLLATE "C" NOT NULL PRIMARY KEY,
    hash       text        NOT NULL,
    source     text,                    -- of the deploy that brought it; NULL: it was defined by itself
    written_ts timestamptz NOT NULL DEFAULT now(),
    written_by text        NOT NULL
);
CREATE INDEX ON kr_workflow_origin (source);
