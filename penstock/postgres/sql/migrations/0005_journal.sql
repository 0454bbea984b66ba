-- What answers are made from: a release with its artifact, and the snapshots that were current. Few rows, never changed;
-- `digest` is of the four that follow it.
CREATE TABLE IF NOT EXISTS app.origin (
    id        integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    digest    bytea NOT NULL UNIQUE,
    model     text NOT NULL,
    release   integer NOT NULL,
    artifact  text NOT NULL,
    snapshots text NOT NULL
);

-- The journal: every answered prediction with what it was made from, in one partition per day of its id.
-- Ids are UUIDs of version 7, so their order is that of time. `request`, `looked_up` and `outcome` (what was predicted)
-- are JSON that the service made; as text, because to be checked once more would cost a tenth of writing them.
CREATE TABLE IF NOT EXISTS app.prediction (
    id          uuid PRIMARY KEY,
    model       text NOT NULL,
    entity      bytea NOT NULL,
    asked_at    timestamptz NOT NULL,
    answered_at timestamptz NOT NULL,
    request     text NOT NULL,
    looked_up   text NOT NULL,
    features    bytea NOT NULL,
    outcome     text NOT NULL,
    origin      integer NOT NULL,
    request_id  text NOT NULL
) PARTITION BY RANGE (id);

-- The newest answer about each entity: what "unchanged input is not predicted again" compares with.
CREATE TABLE IF NOT EXISTS app.latest_answer (
    model     text NOT NULL,
    entity    bytea NOT NULL,
    id        uuid NOT NULL,
    replaced  uuid,
    input     bytea NOT NULL,
    looked_up bytea NOT NULL,
    release   integer NOT NULL,
    origin    integer NOT NULL,
    outcome   text NOT NULL,
    PRIMARY KEY (model, entity)
) WITH (fillfactor = 70);

-- The smallest version 7 id of an instant: the border between two partitions.
CREATE OR REPLACE FUNCTION app.first_id(instant timestamptz) RETURNS uuid LANGUAGE sql IMMUTABLE AS $$
    SELECT rpad(lpad(to_hex(floor(extract(epoch FROM instant) * 1000)::bigint), 12, '0'), 32, '0')::uuid
$$;

-- The two functions below run with the rights of their owner, so that the service, which calls them, needs no right to
-- create or drop tables.

-- Create the daily partitions from yesterday to `ahead` days from now; returns how many were new.
CREATE OR REPLACE FUNCTION app.prepare_journal(ahead integer DEFAULT 14) RETURNS integer
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

-- Drop the partitions, and the latest answers, that are older than `keep` days; returns how many partitions went.
-- To drop a partition needs a moment without any reader of the journal: where there is none, the partition stays until
-- the next call, because whoever journals would wait behind this function.
CREATE OR REPLACE FUNCTION app.retire_journal(keep integer) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET lock_timeout = '200ms' AS $$
DECLARE
    oldest date := (now() AT TIME ZONE 'UTC')::date - keep;
    name   text;
    gone   integer := 0;
BEGIN
    IF keep < 30 AND NOT pg_has_role(session_user, current_user, 'USAGE') THEN
        RAISE EXCEPTION 'only % may retire a journal of less than 30 days', current_user
            USING ERRCODE = 'insufficient_privilege';
    END IF;
    IF NOT pg_try_advisory_xact_lock(hashtext('penstock.journal')) THEN
        RETURN 0;
    END IF;
    DELETE FROM app.latest_answer WHERE id < app.first_id(oldest::timestamp AT TIME ZONE 'UTC');
    FOR name IN
        SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
        WHERE i.inhparent = 'app.prediction'::regclass AND c.relname < 'prediction_' || to_char(oldest, 'YYYYMMDD')
        ORDER BY c.relname
    LOOP
        BEGIN
            EXECUTE format('DROP TABLE app.%I', name);
            gone := gone + 1;
        EXCEPTION WHEN lock_not_available THEN
            EXIT;
        END;
    END LOOP;
    RETURN gone;
END $$;

REVOKE EXECUTE ON FUNCTION app.prepare_journal(integer), app.retire_journal(integer) FROM PUBLIC;
