-- What workers published of their programs, each version under a hash of it, and when a live worker last had it.
CREATE TABLE ms_program (
    program           varchar(256) COLLATE "C" NOT NULL,
    hash              text COLLATE "C" NOT NULL,
    kind              text        NOT NULL,  -- async, thread, process; '' where its workers said no more than names
    description       text        NOT NULL,
    signature         json        NOT NULL,  -- parameters and their types, by words
    parameters_schema json,                  -- JSON Schema of the object of its parameters; NULL: not known
    result_schema     json,                  -- JSON Schema of its result; NULL: not known
    first_seen_ts     timestamptz NOT NULL,
    last_seen_ts      timestamptz NOT NULL,  -- of a live worker that serves it, to a minute
    PRIMARY KEY (program, hash)
);

CREATE INDEX ON ms_program (last_seen_ts);
