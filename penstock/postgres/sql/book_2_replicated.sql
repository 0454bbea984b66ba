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

-- The physical tables that exist: one that no publication names is what a dead publisher left. One with a base is a
-- view over two tables: the physical table of its base snapshot, and the rows that are new or changed since.
CREATE TABLE IF NOT EXISTS replicated.physical_table (
    physical   text COLLATE "C" PRIMARY KEY,
    table_name text COLLATE "C" NOT NULL,
    snapshot   text COLLATE "C" NOT NULL,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    base       text COLLATE "C",
    delta      text COLLATE "C",
    ordered    text[] COLLATE "C"
);
DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_attribute
                   WHERE attrelid = 'replicated.physical_table'::regclass AND attname = 'ordered' AND NOT attisdropped)
    THEN
        ALTER TABLE replicated.physical_table ADD COLUMN base text COLLATE "C", ADD COLUMN delta text COLLATE "C",
            ADD COLUMN ordered text[] COLLATE "C";
    END IF;
END $$;

-- Readers belong to this role, where the connecting user may create roles; a cluster has it once for all books.
DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'replicated_reader') THEN
        CREATE ROLE replicated_reader NOLOGIN;
    END IF;
EXCEPTION WHEN insufficient_privilege OR duplicate_object OR unique_violation THEN
    NULL;
END $$;
DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'replicated_reader')
        AND NOT has_table_privilege('replicated_reader', 'replicated.physical_table', 'SELECT')
    THEN
        GRANT USAGE ON SCHEMA replicated TO replicated_reader;
        GRANT SELECT ON ALL TABLES IN SCHEMA replicated TO replicated_reader;
        ALTER DEFAULT PRIVILEGES IN SCHEMA replicated GRANT SELECT ON TABLES TO replicated_reader;
    END IF;
END $$;
