-- The pointer: which physical table holds the current content of a replicated table.
CREATE TABLE IF NOT EXISTS replicated.current (
    table_name   text COLLATE "C" PRIMARY KEY,
    snapshot     text COLLATE "C" NOT NULL,
    physical     text COLLATE "C" NOT NULL,
    rows         bigint NOT NULL,
    bytes        bigint NOT NULL,
    as_of        timestamptz NOT NULL,
    published_at timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- Every publish that became current, never changed afterwards.
CREATE TABLE IF NOT EXISTS replicated.publication (
    entry      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    table_name text COLLATE "C" NOT NULL,
    snapshot   text COLLATE "C" NOT NULL,
    physical   text COLLATE "C" NOT NULL,
    rows       bigint NOT NULL,
    bytes      bigint NOT NULL,
    as_of      timestamptz NOT NULL,
    who        text NOT NULL,
    replaced   text COLLATE "C",
    at         timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX IF NOT EXISTS publication_table ON replicated.publication (table_name, entry);
CREATE OR REPLACE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON replicated.publication
    FOR EACH STATEMENT EXECUTE FUNCTION app.refuse_change();

-- The physical tables that exist: one that no publication names is what a dead publisher left.
CREATE TABLE IF NOT EXISTS replicated.physical_table (
    physical   text COLLATE "C" PRIMARY KEY,
    table_name text COLLATE "C" NOT NULL,
    snapshot   text COLLATE "C" NOT NULL,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
