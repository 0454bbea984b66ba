SELECT faa, name, lat, lon FROM airports
