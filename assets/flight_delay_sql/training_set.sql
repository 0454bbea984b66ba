-- Departures that have landed, each asked about two hours before its scheduled time.
SELECT carrier, flight, origin, dest, scheduled_departure, tailnum,
    scheduled_at - INTERVAL '2' HOUR AS asked_at,
    CASE WHEN arr_delay > 15 THEN 1 ELSE 0 END AS late
FROM flights
WHERE arr_delay IS NOT NULL AND scheduled_at >= :from AND scheduled_at < :until
