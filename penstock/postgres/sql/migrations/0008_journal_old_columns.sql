-- Drop the columns whose content 0007 has moved, after the rows that an older service has written meanwhile.
DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_attribute
               WHERE attrelid = 'app.prediction'::regclass AND attname = 'answer' AND NOT attisdropped)
    THEN
        LOCK TABLE app.prediction, app.latest_answer;
        INSERT INTO app.origin (digest, model, release, artifact, snapshots)
        SELECT DISTINCT decode(md5(concat_ws(E'\n', model, release, artifact, snapshots)), 'hex'),
               model, release, artifact, snapshots::text
        FROM app.prediction WHERE origin IS NULL ON CONFLICT DO NOTHING;
        UPDATE app.prediction p SET
            origin = (SELECT o.id FROM app.origin o WHERE o.digest
                      = decode(md5(concat_ws(E'\n', p.model, p.release, p.artifact, p.snapshots)), 'hex')),
            outcome = concat('{"prediction":', answer -> 'prediction', ',"missing":', answer -> 'missing',
                             ',"probabilities":' || (answer -> 'probabilities')::text, '}')
        WHERE origin IS NULL;
        -- An answer that was replaced after 0007 still has the origin of the answer before it.
        UPDATE app.latest_answer l SET origin = p.origin, outcome = p.outcome FROM app.prediction p
        WHERE p.id = l.id AND (l.origin, l.outcome) IS DISTINCT FROM (p.origin, p.outcome);
        DELETE FROM app.latest_answer WHERE origin IS NULL;
        ALTER TABLE app.prediction ALTER COLUMN outcome SET NOT NULL, ALTER COLUMN origin SET NOT NULL,
            DROP COLUMN answer, DROP COLUMN release, DROP COLUMN artifact, DROP COLUMN snapshots;
        ALTER TABLE app.latest_answer ALTER COLUMN outcome SET NOT NULL, ALTER COLUMN origin SET NOT NULL,
            DROP COLUMN answer;
    END IF;
    IF EXISTS (SELECT FROM pg_attribute
               WHERE attrelid = 'app.prediction'::regclass AND attname = 'request_text' AND NOT attisdropped)
    THEN
        LOCK TABLE app.prediction;
        UPDATE app.prediction SET request_text = request::text, looked_up_text = looked_up::text
        WHERE request_text IS NULL;
        ALTER TABLE app.prediction ALTER COLUMN request_text SET NOT NULL, ALTER COLUMN looked_up_text SET NOT NULL,
            DROP COLUMN request, DROP COLUMN looked_up;
        ALTER TABLE app.prediction RENAME COLUMN request_text TO request;
        ALTER TABLE app.prediction RENAME COLUMN looked_up_text TO looked_up;
    END IF;
END $$;
