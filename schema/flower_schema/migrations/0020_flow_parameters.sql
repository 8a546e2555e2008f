-- What is said of a workflow as a whole, beside its timeout.
ALTER TABLE ms_workflow
    ADD COLUMN parameters_schema jsonb,  -- JSON Schema (2020-12) of an object: what flows take; NULL: no schema
    ADD COLUMN returns           jsonb,  -- a reference, or JSON with references in it: what a flow returns
    ADD COLUMN labels            jsonb,  -- an object of texts
    ADD COLUMN description       text;
