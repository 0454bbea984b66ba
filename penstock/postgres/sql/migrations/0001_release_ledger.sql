-- Without the condition, even a schema that exists would need the right to create schemas.
DO $$
BEGIN
    IF to_regnamespace('replicated') IS NULL THEN
        CREATE SCHEMA replicated;
    END IF;
END $$;

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
