SELECT carrier, origin, known_at, late_share_day, late_share_week, mean_departure_delay FROM prepared.carrier_history
