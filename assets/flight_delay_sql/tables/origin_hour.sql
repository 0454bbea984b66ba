SELECT origin, known_at, departures, late_share, mean_delay FROM prepared.origin_hour
