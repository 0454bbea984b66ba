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
