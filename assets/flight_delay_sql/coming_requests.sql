-- The coming schedule, as a backend would ask about it.
SELECT carrier, flight, origin, dest, scheduled_departure, tailnum
FROM flights
WHERE scheduled_at > :now
ORDER BY scheduled_at, carrier, flight, origin
LIMIT :count
