-- One word for one thing, as in answers: the number of a release is `release`, and what the model said is `prediction`.
-- Views that people have built on these columns go on with them.
DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_attribute
               WHERE attrelid = 'app.release'::regclass AND attname = 'version' AND NOT attisdropped) THEN
        ALTER TABLE app.release RENAME COLUMN version TO release;
        ALTER INDEX app.release_model_version RENAME TO release_model_release;
        ALTER TABLE app.current_release RENAME COLUMN version TO release;
        ALTER TABLE app.prediction RENAME COLUMN outcome TO prediction;
        ALTER TABLE app.latest_answer RENAME COLUMN outcome TO prediction;
        ALTER VIEW app.journal RENAME COLUMN outcome TO prediction;
    END IF;
END $$;
