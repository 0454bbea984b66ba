-- The journal: every answered prediction with what it was made from, in one partition per day of its id.
-- Ids are UUIDs of version 7, so their order is that of time.
CREATE TABLE IF NOT EXISTS app.prediction (
    id          uuid PRIMARY KEY,
    model       text NOT NULL,
    entity      bytea NOT NULL,
    asked_at    timestamptz NOT NULL,
    answered_at timestamptz NOT NULL,
    request     json NOT NULL,
    looked_up   json NOT NULL,
    features    bytea NOT NULL,
    answer      json NOT NULL,
    release     integer NOT NULL,
    artifact    text NOT NULL,
    snapshots   json NOT NULL,
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
    answer    json NOT NULL,
    PRIMARY KEY (model, entity)
) WITH (fillfactor = 70);

-- The smallest version 7 id of an instant: the border between two partitions.
CREATE OR REPLACE FUNCTION app.first_id(instant timestamptz) RETURNS uuid LANGUAGE sql IMMUTABLE AS $$
    SELECT rpad(lpad(to_hex(floor(extract(epoch FROM instant) * 1000)::bigint), 12, '0'), 32, '0')::uuid
$$;

-- Create the daily partitions from yesterday to `ahead` days from now; gives how many were new.
CREATE OR REPLACE FUNCTION app.prepare_journal(ahead integer DEFAULT 14) RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
    today date := (now() AT TIME ZONE 'UTC')::date;
    day   date;
    name  text;
    made  integer := 0;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtext('penstock.journal'));
    FOR day IN SELECT today + n FROM generate_series(-1, ahead) AS n LOOP
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

-- Drop the partitions, and the latest answers, that are older than `keep` days; gives how many partitions went.
CREATE OR REPLACE FUNCTION app.retire_journal(keep integer) RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
    oldest date := (now() AT TIME ZONE 'UTC')::date - keep;
    name   text;
    gone   integer := 0;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtext('penstock.journal'));
    FOR name IN
        SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
        WHERE i.inhparent = 'app.prediction'::regclass AND c.relname < 'prediction_' || to_char(oldest, 'YYYYMMDD')
    LOOP
        EXECUTE format('DROP TABLE app.%I', name);
        gone := gone + 1;
    END LOOP;
    DELETE FROM app.latest_answer WHERE id < app.first_id(oldest::timestamp AT TIME ZONE 'UTC');
    RETURN gone;
END $$;

SELECT app.prepare_journal();
