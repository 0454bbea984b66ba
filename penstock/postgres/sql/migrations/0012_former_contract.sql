-- A contract's digest by a former rule -> its digest by the present one. `penstock migrate` and `penstock up` write it while
-- the code still shows both: an edited description changes the former digest, and not the present one.
CREATE TABLE IF NOT EXISTS app.former_contract (
    former text PRIMARY KEY,
    digest text NOT NULL,
    at     timestamptz NOT NULL DEFAULT clock_timestamp()
);
