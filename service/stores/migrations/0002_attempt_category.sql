-- Owns the category of attempts: codes, notifications and marketing have limits of their own to a number.
--
-- Attempts that are there count as codes, as all did before, and so do those of an instance of the older version that
-- still runs. A column at the end with a constant default is added at once, without copying the table (MySQL 8.0.12,
-- MariaDB 10.3, SQLite).

ALTER TABLE attempts ADD COLUMN category VARCHAR(64) NOT NULL DEFAULT 'code';
