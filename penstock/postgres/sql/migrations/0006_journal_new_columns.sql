-- The first journal repeated the origin and the whole answer in every row, and until later its JSON was of type json. Here
-- such a journal gets the columns of today, empty; 0007 fills them, 0008 drops the old ones.
DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_attribute
               WHERE attrelid = 'app.prediction'::regclass AND attname = 'answer' AND NOT attisdropped)
    THEN
        ALTER TABLE app.prediction ADD COLUMN outcome text, ADD COLUMN origin integer;
        ALTER TABLE app.latest_answer ADD COLUMN outcome text, ADD COLUMN origin integer;
    END IF;
    IF EXISTS (SELECT FROM pg_attribute
               WHERE attrelid = 'app.prediction'::regclass AND attname = 'request' AND atttypid = 'json'::regtype)
    THEN
        ALTER TABLE app.prediction ADD COLUMN request_text text, ADD COLUMN looked_up_text text;
    END IF;
END $$;
