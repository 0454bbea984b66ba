-- The journal's days are made and dropped by the pipeline, not by the service: see penstock/journal/upkeep.py.
-- The functions run with the rights of their owner, so that the pipeline needs no right to create or drop in `app`.

-- The first day that is kept of a journal of `keep` days. Only the owner may keep less than 30.
CREATE OR REPLACE FUNCTION app.first_kept_day(keep integer) RETURNS date
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF keep < 30 AND NOT pg_has_role(session_user, current_user, 'USAGE') THEN
        RAISE EXCEPTION 'only % may retire a journal of less than 30 days', current_user
            USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN (now() AT TIME ZONE 'UTC')::date - keep;
END $$;

-- Create the daily partitions from yesterday to `ahead` days from now; returns how many were new. Neither readers nor
-- writers of the journal wait for it.
CREATE OR REPLACE FUNCTION app.prepare_journal(ahead integer DEFAULT 30) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET lock_timeout = '2s' AS $$
DECLARE
    today   date := (now() AT TIME ZONE 'UTC')::date;
    missing date[];
    day     date;
    name    text;
    made    integer := 0;
BEGIN
    missing := ARRAY(SELECT today + n FROM generate_series(-1, least(ahead, 60)) AS n
                     WHERE to_regclass('app.prediction_' || to_char(today + n, 'YYYYMMDD')) IS NULL ORDER BY n);
    IF cardinality(missing) = 0 THEN
        RETURN 0;
    END IF;
    PERFORM pg_advisory_xact_lock(hashtext('penstock.journal'));
    FOREACH day IN ARRAY missing LOOP
        name := 'prediction_' || to_char(day, 'YYYYMMDD');
        CONTINUE WHEN to_regclass('app.' || name) IS NOT NULL;
        EXECUTE format('CREATE TABLE app.%I (LIKE app.prediction INCLUDING ALL)', name);
        EXECUTE format('ALTER TABLE app.prediction ATTACH PARTITION app.%I FOR VALUES FROM (%L) TO (%L)', name,
                       app.first_id(day::timestamp AT TIME ZONE 'UTC'),
                       app.first_id((day + 1)::timestamp AT TIME ZONE 'UTC'));
        made := made + 1;
    END LOOP;
    RETURN made;
END $$;

-- Drop the oldest partition of a journal of `keep` days; returns its name, null where none is due. It needs a moment
-- without any transaction on the journal, for which it waits 100 ms, and so do those who come meanwhile.
CREATE OR REPLACE FUNCTION app.drop_oldest_journal_day(keep integer) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET lock_timeout = '100ms' AS $$
DECLARE
    first text := 'prediction_' || to_char(app.first_kept_day(keep), 'YYYYMMDD');
    name  text;
BEGIN
    SELECT c.relname INTO name FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
    WHERE i.inhparent = 'app.prediction'::regclass AND c.relname < first ORDER BY c.relname LIMIT 1;
    IF name IS NOT NULL THEN
        EXECUTE format('DROP TABLE app.%I', name);
    END IF;
    RETURN name;
END $$;

-- Delete at most `most` of the latest answers that are older than `keep` days; returns how many. None that is just being
-- replaced is waited for.
CREATE OR REPLACE FUNCTION app.delete_old_answers(keep integer, most integer) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET lock_timeout = '100ms' AS $$
DECLARE
    deleted integer;
BEGIN
    DELETE FROM app.latest_answer WHERE ctid = ANY (ARRAY(
        SELECT ctid FROM app.latest_answer
        WHERE id < app.first_id(app.first_kept_day(keep)::timestamp AT TIME ZONE 'UTC')
        LIMIT most FOR UPDATE SKIP LOCKED));
    GET DIAGNOSTICS deleted = ROW_COUNT;
    RETURN deleted;
END $$;

DROP FUNCTION IF EXISTS app.retire_journal(integer);
REVOKE EXECUTE ON FUNCTION app.first_kept_day(integer), app.drop_oldest_journal_day(integer),
    app.delete_old_answers(integer, integer) FROM PUBLIC;
DO $$
BEGIN
    IF to_regrole('penstock_service') IS NOT NULL THEN
        REVOKE EXECUTE ON FUNCTION app.prepare_journal(integer) FROM penstock_service;
    END IF;
END $$;

SELECT app.prepare_journal();
