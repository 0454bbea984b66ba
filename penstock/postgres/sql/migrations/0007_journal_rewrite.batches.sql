-- Fill the columns that 0006 added, in batches of 5000 rows that are committed one by one. Broken off and begun again, it
-- leaves alone what is filled.
DO $$
DECLARE
    answers     boolean := EXISTS (SELECT FROM pg_attribute WHERE attrelid = 'app.prediction'::regclass
                                   AND attname = 'answer' AND NOT attisdropped);
    typed       boolean := EXISTS (SELECT FROM pg_attribute WHERE attrelid = 'app.prediction'::regclass
                                   AND attname = 'request_text' AND NOT attisdropped);
    low         uuid := '00000000-0000-0000-0000-000000000000';
    high        uuid;
    low_model   text := '';
    low_entity  bytea := '';
    high_model  text;
    high_entity bytea;
BEGIN
    WHILE answers OR typed LOOP
        SELECT id INTO high FROM (SELECT id FROM app.prediction WHERE id > low ORDER BY id LIMIT 5000) AS batch
        ORDER BY id DESC LIMIT 1;
        EXIT WHEN high IS NULL;
        IF answers THEN
            INSERT INTO app.origin (digest, model, release, artifact, snapshots)
            SELECT DISTINCT decode(md5(concat_ws(E'\n', model, release, artifact, snapshots)), 'hex'),
                   model, release, artifact, snapshots::text
            FROM app.prediction WHERE id > low AND id <= high AND origin IS NULL ON CONFLICT DO NOTHING;
            UPDATE app.prediction p SET
                origin = (SELECT o.id FROM app.origin o WHERE o.digest
                          = decode(md5(concat_ws(E'\n', p.model, p.release, p.artifact, p.snapshots)), 'hex')),
                outcome = concat('{"prediction":', answer -> 'prediction', ',"missing":', answer -> 'missing',
                                 ',"probabilities":' || (answer -> 'probabilities')::text, '}')
            WHERE id > low AND id <= high AND origin IS NULL;
        END IF;
        IF typed THEN
            UPDATE app.prediction SET request_text = request::text, looked_up_text = looked_up::text
            WHERE id > low AND id <= high AND request_text IS NULL;
        END IF;
        COMMIT;
        low := high;
    END LOOP;
    WHILE answers LOOP
        SELECT model, entity INTO high_model, high_entity
        FROM (SELECT model, entity FROM app.latest_answer WHERE (model, entity) > (low_model, low_entity)
              ORDER BY model, entity LIMIT 5000) AS batch
        ORDER BY model DESC, entity DESC LIMIT 1;
        EXIT WHEN high_model IS NULL;
        UPDATE app.latest_answer l SET origin = p.origin, outcome = p.outcome FROM app.prediction p
        WHERE p.id = l.id AND l.origin IS NULL AND (l.model, l.entity) > (low_model, low_entity)
            AND (l.model, l.entity) <= (high_model, high_entity);
        COMMIT;
        low_model := high_model;
        low_entity := high_entity;
    END LOOP;
END $$;
