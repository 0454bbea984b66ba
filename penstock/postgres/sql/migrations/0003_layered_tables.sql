-- A physical table with a base is a view over two tables: the physical table of its base snapshot, and the rows that are
-- new or changed since. `ordered` is by what the rows of the base come out.
DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_attribute
                   WHERE attrelid = 'replicated.physical_table'::regclass AND attname = 'ordered' AND NOT attisdropped)
    THEN
        ALTER TABLE replicated.physical_table ADD COLUMN base text COLLATE "C", ADD COLUMN delta text COLLATE "C",
            ADD COLUMN ordered text[] COLLATE "C";
    END IF;
END $$;
