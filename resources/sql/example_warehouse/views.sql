-- What is known by now: outcomes only of what has already happened, weather only up to now.
CREATE OR REPLACE MACRO warehouse_now() AS coalesce(CAST(getvariable('penstock_now') AS TIMESTAMPTZ), now());

CREATE OR REPLACE VIEW flights AS
SELECT year, month, day,
    CASE WHEN departed_at <= warehouse_now() THEN dep_time END AS dep_time,
    sched_dep_time,
    CASE WHEN departed_at <= warehouse_now() THEN dep_delay END AS dep_delay,
    CASE WHEN landed_at <= warehouse_now() THEN arr_time END AS arr_time,
    sched_arr_time,
    CASE WHEN landed_at <= warehouse_now() THEN arr_delay END AS arr_delay,
    carrier, flight, tailnum, origin, dest,
    CASE WHEN landed_at <= warehouse_now() THEN air_time END AS air_time,
    distance, hour, minute, time_hour,
    scheduled_departure, scheduled_at,
    CASE WHEN landed_at <= warehouse_now() THEN landed_at END AS landed_at
FROM (
    SELECT *,
        make_timestamp(year, month, day, hour, minute, 0.0) AS scheduled_departure,
        time_hour + to_minutes(minute) AS scheduled_at,
        time_hour + to_minutes(minute + dep_delay) AS departed_at,
        -- Half an hour stands for both taxi times, six hours for the air time of what was diverted.
        time_hour + to_minutes(minute + dep_delay + coalesce(air_time, 360) + 30) AS landed_at
    FROM source.flights
);

CREATE OR REPLACE VIEW weather AS SELECT * FROM source.weather WHERE time_hour <= warehouse_now();
