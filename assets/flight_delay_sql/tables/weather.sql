SELECT origin, time_hour AS observed_at, temp, humid, wind_speed, wind_gust, precip, pressure, visib FROM weather
