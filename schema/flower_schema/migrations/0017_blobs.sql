-- Blobs: results that are too large for an event, and files of programs, by the sha256 of what they hold.
CREATE TABLE kr_blob (
    sha256     text COLLATE "C" NOT NULL PRIMARY KEY,
    upload     uuid NOT NULL,                     -- whose chunks hold the content
    bytes      bigint NOT NULL,
    stored_ts  timestamptz NOT NULL DEFAULT now(),
    touched_ts timestamptz NOT NULL DEFAULT now() -- whoever stored it again, or took it over, last
);

-- Their content, in pieces of 1 MiB. An upload becomes a blob with its last piece; one that never did is pruned.
CREATE TABLE kr_blob_chunk (
    upload     uuid NOT NULL,
    number     integer NOT NULL,
    content    bytea NOT NULL,
    written_ts timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (upload, number)
);
ALTER TABLE kr_blob_chunk ALTER COLUMN content SET STORAGE EXTERNAL; -- who stores much has compressed it

-- Which flows name a blob in any of their events; written by the projector, whatever store the blob is in.
CREATE TABLE kr_blob_use (
    sha256       text COLLATE "C" NOT NULL,
    task_flow_id varchar(256) COLLATE "C" NOT NULL,
    PRIMARY KEY (sha256, task_flow_id)
);
CREATE INDEX kr_blob_use_task_flow_id ON kr_blob_use (task_flow_id);
