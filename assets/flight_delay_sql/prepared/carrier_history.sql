-- Per carrier and origin and day: how its departures of the last 7 days did, known at noon UTC of the day after.
CREATE OR REPLACE TABLE prepared.carrier_history AS
WITH landed AS (
    SELECT carrier, origin, arr_delay, dep_delay, landed_at,
        CAST(date_trunc('day', scheduled_departure) AS DATE) AS flown_on
    FROM flights WHERE arr_delay IS NOT NULL
), daily AS (
    SELECT carrier, origin, flown_on, count(*) AS arrivals,
        sum(CASE WHEN arr_delay > 15 THEN 1 ELSE 0 END) AS late, sum(dep_delay) AS minutes
    FROM landed
    WHERE landed_at <= CAST(flown_on AS TIMESTAMP) AT TIME ZONE 'UTC' + INTERVAL 36 HOUR
    GROUP BY carrier, origin, flown_on
)
SELECT carrier, origin,
    CAST(flown_on AS TIMESTAMP) AT TIME ZONE 'UTC' + INTERVAL 36 HOUR AS known_at,
    CAST(late AS DOUBLE) / CAST(arrivals AS DOUBLE) AS late_share_day,
    CAST(sum(late) OVER week AS DOUBLE) / CAST(sum(arrivals) OVER week AS DOUBLE) AS late_share_week,
    CAST(sum(minutes) OVER week AS DOUBLE) / CAST(sum(arrivals) OVER week AS DOUBLE) AS mean_departure_delay
FROM daily
WHERE CAST(flown_on AS TIMESTAMP) AT TIME ZONE 'UTC' + INTERVAL 36 HOUR <= warehouse_now()
WINDOW week AS (
    PARTITION BY carrier, origin ORDER BY flown_on RANGE BETWEEN INTERVAL 6 DAY PRECEDING AND CURRENT ROW
);
