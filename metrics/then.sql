-- Owns the attempts of a window as they stood at `now`: what came later has not come yet. Every fact is kept with the time at
-- which it was first told, so the past can be asked what it knew. The window is put in by metrics/query.py.
SELECT
    cohort_at, request_minute, provider, carrier, country, region, app, purpose, template, category,
    submitted AS submitted, accepted AS accepted, is_code AS is_code, is_verification AS is_verification,
    failure_class AS failure_class,
    if(delivered_at <= {now:DateTime64(3, 'UTC')}, delivered_at, NULL) AS came_at,
    if(failed_at <= {now:DateTime64(3, 'UTC')}, failed_at, NULL) AS lost_at,
    accepted AND came_at IS NOT NULL AND (lost_at IS NULL OR came_at <= lost_at) AS delivered,
    accepted AND lost_at IS NOT NULL AND (came_at IS NULL OR lost_at < came_at) AS failed,
    accepted AND came_at IS NULL AND lost_at IS NULL AS pending,
    if(delivered, greatest(0, dateDiff('millisecond', submitted_at, came_at)) / 1000, NULL) AS delivery_seconds,
    if(attempts.filled_at <= {now:DateTime64(3, 'UTC')}, attempts.filled_at, NULL) AS filled_at,
    if(attempts.approved_at <= {now:DateTime64(3, 'UTC')}, attempts.approved_at, NULL) AS approved_at,
    if(attempts.resent_at <= {now:DateTime64(3, 'UTC')}, attempts.resent_at, NULL) AS resent_at
FROM attempts FINAL
WHERE {window}
