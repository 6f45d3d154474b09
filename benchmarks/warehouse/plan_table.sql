-- Owns the table of `plan.sql`: emptied before each day.
CREATE TABLE IF NOT EXISTS plan
(
    request_id UUID, attempt UInt8, at DateTime64(3, 'UTC'),
    provider LowCardinality(String), carrier LowCardinality(String), country LowCardinality(String),
    region LowCardinality(String), app LowCardinality(String), purpose LowCardinality(String),
    template LowCardinality(String), category LowCardinality(String), cause LowCardinality(String),
    outcome LowCardinality(String), latency_ms UInt32, phone_hash String,
    final LowCardinality(String), final_seconds Float64,
    is_interim Bool, is_repeated Bool, is_contradicted Bool, names_carrier Bool,
    is_filled Bool, is_wrong_first Bool, fill_seconds Float64
)
ENGINE = MergeTree ORDER BY tuple()
