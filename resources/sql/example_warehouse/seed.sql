-- The real year 2013, laid three times around $anchor (its first day moved by a multiple of 364 days, so that
-- weekdays stay true): the year before, the year that now lies in, and the year after.
CREATE OR REPLACE TABLE source.flights AS
SELECT
    CAST(date_part('year', flown_on) AS INTEGER) AS year,
    CAST(date_part('month', flown_on) AS INTEGER) AS month,
    CAST(date_part('day', flown_on) AS INTEGER) AS day,
    dep_time, sched_dep_time, dep_delay, arr_time, sched_arr_time, arr_delay,
    carrier, flight, tailnum, origin, dest, air_time, distance, hour, minute,
    time_hour + to_days(shift) AS time_hour
FROM (
    SELECT *, CAST(make_date(year, month, day) + to_days(shift) AS DATE) AS flown_on
    FROM (
        SELECT CAST(f.year AS INTEGER) AS year, CAST(f.month AS INTEGER) AS month, CAST(f.day AS INTEGER) AS day,
            CAST(dep_time AS INTEGER) AS dep_time, CAST(sched_dep_time AS INTEGER) AS sched_dep_time,
            CAST(dep_delay AS INTEGER) AS dep_delay, CAST(arr_time AS INTEGER) AS arr_time,
            CAST(sched_arr_time AS INTEGER) AS sched_arr_time, CAST(arr_delay AS INTEGER) AS arr_delay,
            carrier, CAST(flight AS INTEGER) AS flight, tailnum, origin, dest,
            CAST(air_time AS INTEGER) AS air_time, CAST(distance AS INTEGER) AS distance,
            CAST(hour AS INTEGER) AS hour, CAST(minute AS INTEGER) AS minute, time_hour, lap.shift
        FROM read_csv($folder || '/flights.csv', nullstr = 'NA') AS f,
            (SELECT unnest([$shift - 364, $shift, $shift + 364]) AS shift) AS lap
    )
    WHERE make_date(year, month, day) < DATE '2013-12-31' OR shift = $shift + 364
)
ORDER BY time_hour;

CREATE OR REPLACE TABLE source.weather AS
SELECT origin,
    CAST(date_part('year', observed) AS INTEGER) AS year, CAST(date_part('month', observed) AS INTEGER) AS month,
    CAST(date_part('day', observed) AS INTEGER) AS day, CAST(w.hour AS INTEGER) AS hour,
    temp, dewp, humid, CAST(wind_dir AS INTEGER) AS wind_dir, wind_speed, wind_gust, precip, pressure, visib,
    time_hour + to_days(shift) AS time_hour
FROM (
    SELECT *, CAST(make_date(CAST(w.year AS INTEGER), CAST(w.month AS INTEGER), CAST(w.day AS INTEGER))
        + to_days(lap.shift) AS DATE) AS observed
    FROM read_csv($folder || '/weather.csv', nullstr = 'NA') AS w,
        (SELECT unnest([$shift - 364, $shift, $shift + 364]) AS shift) AS lap
) AS w
WHERE w.month < 12 OR w.day < 31 OR shift = $shift + 364
ORDER BY time_hour, origin;

CREATE OR REPLACE TABLE planes AS
SELECT tailnum, CAST(year AS INTEGER) AS year, type, manufacturer, model, CAST(engines AS INTEGER) AS engines,
    CAST(seats AS INTEGER) AS seats, CAST(speed AS INTEGER) AS speed, engine
FROM read_csv($folder || '/planes.csv', nullstr = 'NA');

CREATE OR REPLACE TABLE airports AS
SELECT faa, name, lat, lon, CAST(alt AS INTEGER) AS alt, CAST(tz AS INTEGER) AS tz, dst, tzone
FROM read_csv($folder || '/airports.csv', nullstr = 'NA');

CREATE OR REPLACE TABLE airlines AS
SELECT carrier, name FROM read_csv($folder || '/airlines.csv', nullstr = 'NA');
