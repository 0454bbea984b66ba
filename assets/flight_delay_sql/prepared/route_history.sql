-- Per carrier and route and day: how its flights of the last 28 days did, by what was known at noon UTC of the
-- day after. Only sums of whole numbers are divided, so the same rows always give the same bits.
CREATE OR REPLACE TABLE prepared.route_history AS
WITH landed AS (
    SELECT carrier, origin, dest, distance, arr_delay, landed_at,
        CAST(date_trunc('day', scheduled_departure) AS DATE) AS flown_on
    FROM flights WHERE arr_delay IS NOT NULL
), daily AS (
    SELECT carrier, origin, dest, flown_on, max(distance) AS distance, count(*) AS arrivals,
        sum(CASE WHEN arr_delay > 15 THEN 1 ELSE 0 END) AS late, sum(arr_delay) AS minutes
    FROM landed
    WHERE landed_at <= CAST(flown_on AS TIMESTAMP) AT TIME ZONE 'UTC' + INTERVAL 36 HOUR
    GROUP BY carrier, origin, dest, flown_on
)
SELECT carrier, origin, dest,
    CAST(flown_on AS TIMESTAMP) AT TIME ZONE 'UTC' + INTERVAL 36 HOUR AS known_at,
    CAST(distance AS INTEGER) AS distance,
    CAST(sum(arrivals) OVER month AS INTEGER) AS arrivals,
    CAST(sum(late) OVER month AS DOUBLE) / CAST(sum(arrivals) OVER month AS DOUBLE) AS late_share,
    CAST(sum(minutes) OVER month AS DOUBLE) / CAST(sum(arrivals) OVER month AS DOUBLE) AS mean_delay
FROM daily
WHERE CAST(flown_on AS TIMESTAMP) AT TIME ZONE 'UTC' + INTERVAL 36 HOUR <= warehouse_now()
WINDOW month AS (
    PARTITION BY carrier, origin, dest ORDER BY flown_on RANGE BETWEEN INTERVAL 27 DAY PRECEDING AND CURRENT ROW
);
