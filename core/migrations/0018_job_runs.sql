-- Owns how the jobs of the scheduler came out: the last run of each, by whichever scheduler. A row a run, of which the latest
-- stands. Read with FINAL.

CREATE TABLE IF NOT EXISTS job_runs
(
    job     LowCardinality(String)   COMMENT 'minute, rollup, settling or report',
    at      DateTime64(3, 'UTC')     COMMENT 'when the run ended',
    failure String                   COMMENT 'what broke, in words without values; empty when nothing did'
)
ENGINE = ReplacingMergeTree(at)
ORDER BY job;
