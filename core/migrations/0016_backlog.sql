-- Owns what an instance says of its journals beside how it answered (0004). Rows from before say nothing of them.

ALTER TABLE availability_minutes ADD COLUMN IF NOT EXISTS store_backlog_bytes Nullable(UInt64)
    COMMENT 'most that waited in the journal of the stores in that minute; NULL: not looked at';

ALTER TABLE availability_minutes ADD COLUMN IF NOT EXISTS events_backlog_bytes Nullable(UInt64)
    COMMENT 'most that waited in the journal of events in that minute; NULL: not looked at';
