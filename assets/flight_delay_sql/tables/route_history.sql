SELECT carrier, origin, dest, known_at, distance, arrivals, late_share, mean_delay FROM prepared.route_history
