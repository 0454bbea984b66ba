-- The roles of a Penstock book, and what each may do. Run it in the database of each book (TEST and PROD), as a superuser,
-- or as the owner of the database and of what is in it who may create roles. It can be run again at any time.
-- Then create logins of your own, each a member of the roles of what it does:
--     CREATE ROLE penstock_loader LOGIN PASSWORD '…' IN ROLE penstock_pipeline;
-- `penstock migrate` grants what later migrations add. docs/books.md says more.
BEGIN;
SET LOCAL lock_timeout = '5s';
SET LOCAL client_min_messages = warning;

DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY[{roles}] LOOP
        IF to_regrole(name) IS NULL THEN
            EXECUTE format('CREATE ROLE %I NOLOGIN', name);
        END IF;
        IF NOT (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) THEN
            EXECUTE format('GRANT %I TO %I', name, current_user);  -- only a member can give it what it is to own
        END IF;
        EXECUTE format('GRANT CONNECT, TEMPORARY ON DATABASE %I TO %I', current_database(), name);
    END LOOP;
END $$;

-- So that who waits can name whom it waits for. Not every administrator may grant it, and it is not needed otherwise.
DO $$
BEGIN
    GRANT pg_read_all_stats TO penstock_migrate, penstock_pipeline;
EXCEPTION WHEN insufficient_privilege THEN
    NULL;
END $$;

-- The schemas, and everything in `app`, belong to who migrates; physical tables and their views to who publishes.
DO $$
DECLARE
    name     text;
    relation record;
BEGIN
    FOREACH name IN ARRAY ARRAY['app', 'replicated'] LOOP
        IF to_regnamespace(name) IS NULL THEN
            EXECUTE format('CREATE SCHEMA %I AUTHORIZATION penstock_migrate', name);
        ELSE
            EXECUTE format('ALTER SCHEMA %I OWNER TO penstock_migrate', name);
        END IF;
    END LOOP;
    GRANT CREATE ON SCHEMA replicated TO penstock_pipeline;
    FOR relation IN
        SELECT c.oid::regclass AS named, 'penstock_migrate' AS owner FROM pg_class c
        WHERE c.relkind IN ('r', 'p', 'v')
            AND (c.relnamespace = 'app'::regnamespace OR c.relnamespace = 'replicated'::regnamespace
                 AND c.relname IN ('current', 'publication', 'physical_table'))
            AND c.relowner <> 'penstock_migrate'::regrole
    LOOP
        EXECUTE format('ALTER TABLE %s OWNER TO %I', relation.named, relation.owner);
    END LOOP;
    FOR relation IN
        SELECT p.oid::regprocedure AS named FROM pg_proc p
        WHERE p.pronamespace = 'app'::regnamespace AND p.proowner <> 'penstock_migrate'::regrole
    LOOP
        EXECUTE format('ALTER FUNCTION %s OWNER TO penstock_migrate', relation.named);
    END LOOP;
    IF to_regclass('replicated.physical_table') IS NULL THEN
        RETURN;
    END IF;
    FOR relation IN
        SELECT c.oid::regclass AS named, c.relowner <> 'penstock_pipeline'::regrole AS foreign_owner FROM pg_class c
        WHERE c.relnamespace = 'replicated'::regnamespace AND c.relkind IN ('r', 'v') AND c.relname IN (
            SELECT physical FROM replicated.physical_table UNION ALL SELECT delta FROM replicated.physical_table
            UNION ALL SELECT physical FROM replicated.current UNION ALL SELECT table_name FROM replicated.current)
    LOOP
        IF relation.foreign_owner THEN
            EXECUTE format('ALTER TABLE %s OWNER TO penstock_pipeline', relation.named);
        END IF;
        EXECUTE format('GRANT SELECT ON %s TO {readers}', relation.named);
    END LOOP;
END $$;

-- What is not there yet, `penstock migrate` creates, and grants the same.
DO $$
BEGIN
{grants}
END $$;
COMMIT;
