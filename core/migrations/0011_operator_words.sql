-- Owns what operators said about incidents: silences, maintenance windows, comments. Append-only; a word is taken back
-- by another word that names it.

CREATE TABLE IF NOT EXISTS operator_words
(
    id          UUID,
    said_at     DateTime64(3, 'UTC'),
    said_by     String,
    kind        LowCardinality(String)    COMMENT 'silence, maintenance, comment, withdrawn, retry or retried',
    scope       String                    COMMENT 'JSON: dimension to list of values; {} is everything',
    start       Nullable(DateTime64(3, 'UTC')),
    end         Nullable(DateTime64(3, 'UTC')),
    incident_id String                    COMMENT 'of a comment, or of a silence of one incident',
    refers_to   Nullable(UUID)            COMMENT 'of a withdrawal: the word that no longer holds',
    text        String
)
ENGINE = MergeTree
ORDER BY (said_at, id);
