-- Owns that incidents count people beside messages: `affected` counted messages until now, and stands for both in the rows
-- from before.

ALTER TABLE incidents ADD COLUMN IF NOT EXISTS messages UInt64 DEFAULT affected
    COMMENT 'messages that fared worse than they would have, whole incident' AFTER affected;

ALTER TABLE incidents COMMENT COLUMN affected 'people whose messages they were: different numbers, by their hash';

ALTER TABLE incidents COMMENT COLUMN lost 'of the messages, those that never got where they should';
