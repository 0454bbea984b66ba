-- Per origin and hour: how the departures of the last three hours went, known at the end of the hour.
CREATE OR REPLACE TABLE prepared.origin_hour AS
WITH departed AS (
    SELECT origin, dep_delay,
        date_trunc('hour', scheduled_at + to_minutes(dep_delay)) + INTERVAL 1 HOUR AS known_at
    FROM flights WHERE dep_delay IS NOT NULL
), hourly AS (
    SELECT origin, known_at, count(*) AS departures, sum(CASE WHEN dep_delay > 15 THEN 1 ELSE 0 END) AS late,
        sum(dep_delay) AS minutes
    FROM departed WHERE known_at <= warehouse_now()
    GROUP BY origin, known_at
)
SELECT origin, known_at,
    CAST(sum(departures) OVER recent AS INTEGER) AS departures,
    CAST(sum(late) OVER recent AS DOUBLE) / CAST(sum(departures) OVER recent AS DOUBLE) AS late_share,
    CAST(sum(minutes) OVER recent AS DOUBLE) / CAST(sum(departures) OVER recent AS DOUBLE) AS mean_delay
FROM hourly
WINDOW recent AS (
    PARTITION BY origin ORDER BY known_at RANGE BETWEEN INTERVAL 2 HOUR PRECEDING AND CURRENT ROW
);
