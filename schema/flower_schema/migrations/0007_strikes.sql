-- Strikes: every task of a program with a certain value of a parameter is passed over, until that is lifted.
CREATE TABLE ms_strike (
    strike_id varchar(64) COLLATE "C" NOT NULL PRIMARY KEY,
    program   varchar(256) NOT NULL CHECK (program <> ''),
    parameter varchar(1024) NOT NULL CHECK (parameter <> ''),
    value     jsonb NOT NULL CHECK (jsonb_typeof(value) IN ('string', 'number', 'boolean')),
    reason    text NOT NULL DEFAULT '',
    made_by   text NOT NULL DEFAULT '',
    made_ts   timestamptz NOT NULL DEFAULT now()
);

CREATE TRIGGER flower_changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON ms_strike
    FOR EACH STATEMENT EXECUTE FUNCTION flower_tell_flow_control();
