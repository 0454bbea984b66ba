-- A release is named by a period, which may be a day, a week or a month.
DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_attribute
               WHERE attrelid = 'app.release'::regclass AND attname = 'month' AND NOT attisdropped) THEN
        ALTER TABLE app.release RENAME COLUMN month TO period;
    END IF;
END $$;
