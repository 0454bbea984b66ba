-- A book as Penstock made it first: no layers, and a journal that repeats the whole answer in every row.
CREATE SCHEMA IF NOT EXISTS app;
CREATE SCHEMA IF NOT EXISTS replicated;

-- The release ledger: every move of a model's pointer, never changed afterwards.
CREATE TABLE IF NOT EXISTS app.release (
    entry             bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    model             text NOT NULL,
    version           integer NOT NULL CHECK (version > 0),
    action            text NOT NULL CHECK (action IN ('release', 'rollback', 'override')),
    artifact          text NOT NULL,
    contract          text NOT NULL,
    month             text NOT NULL,
    training_snapshot text NOT NULL,
    holdout_snapshot  text NOT NULL,
    metrics           jsonb NOT NULL,
    gate              jsonb NOT NULL,
    code_version      text NOT NULL,
    who               text NOT NULL,
    why               text NOT NULL,
    replaced          integer,
    at                timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX IF NOT EXISTS release_model_version ON app.release (model, version);

-- The pointer: the one release of a model that this book serves.
CREATE TABLE IF NOT EXISTS app.current_release (
    model    text PRIMARY KEY,
    entry    bigint NOT NULL REFERENCES app.release,
    version  integer NOT NULL,
    artifact text NOT NULL,
    contract text NOT NULL
);

CREATE OR REPLACE FUNCTION app.refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '%.% is append-only', TG_TABLE_SCHEMA, TG_TABLE_NAME USING ERRCODE = 'raise_exception';
END $$;
CREATE OR REPLACE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON app.release
    FOR EACH STATEMENT EXECUTE FUNCTION app.refuse_change();
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
