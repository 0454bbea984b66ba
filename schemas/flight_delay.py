"""The shapes of the tables and training sets of `flight_delay`."""

import pandera.pandas as pa

from penstock.declare.shape import INSTANT, REAL, TEXT, WALL_CLOCK, WHOLE

SHARE = pa.Check.in_range(0, 1)
MINUTES = pa.Check.in_range(-24 * 60, 48 * 60)
COUNT = pa.Check.ge(0)
AIRPORT = pa.Check.str_matches(r"^[A-Z0-9]{3}$")

WEATHER_VALUES = {
    "temp": pa.Column(REAL, pa.Check.in_range(-80, 140), nullable=True),
    "humid": pa.Column(REAL, pa.Check.in_range(0, 101), nullable=True),
    "wind_speed": pa.Column(REAL, pa.Check.in_range(0, 2000), nullable=True),
    "wind_gust": pa.Column(REAL, pa.Check.in_range(0, 2000), nullable=True),
    "precip": pa.Column(REAL, pa.Check.in_range(0, 30), nullable=True),
    "pressure": pa.Column(REAL, pa.Check.in_range(850, 1100), nullable=True),
    "visib": pa.Column(REAL, pa.Check.in_range(0, 100), nullable=True),
}

WEATHER = pa.DataFrameSchema(
    {"origin": pa.Column(TEXT, AIRPORT), "observed_at": pa.Column(INSTANT), **WEATHER_VALUES}, strict=True
)
PLANES = pa.DataFrameSchema(
    {
        "tailnum": pa.Column(TEXT),
        "year": pa.Column(WHOLE, pa.Check.in_range(1900, 2100), nullable=True),
        "manufacturer": pa.Column(TEXT),
        "model": pa.Column(TEXT),
        "seats": pa.Column(WHOLE, pa.Check.in_range(1, 1000)),
    },
    strict=True,
)
AIRPORTS = pa.DataFrameSchema(
    {
        "faa": pa.Column(TEXT, AIRPORT),
        "name": pa.Column(TEXT),
        "lat": pa.Column(REAL, pa.Check.in_range(-90, 90)),
        "lon": pa.Column(REAL, pa.Check.in_range(-180, 180)),
    },
    strict=True,
)
ROUTE_HISTORY = pa.DataFrameSchema(
    {
        "carrier": pa.Column(TEXT),
        "origin": pa.Column(TEXT, AIRPORT),
        "dest": pa.Column(TEXT, AIRPORT),
        "known_at": pa.Column(INSTANT),
        "distance": pa.Column(WHOLE, pa.Check.in_range(1, 12_500)),
        "arrivals": pa.Column(WHOLE, COUNT),
        "late_share": pa.Column(REAL, SHARE),
        "mean_delay": pa.Column(REAL, MINUTES),
    },
    strict=True,
)
CARRIER_HISTORY = pa.DataFrameSchema(
    {
        "carrier": pa.Column(TEXT),
        "origin": pa.Column(TEXT, AIRPORT),
        "known_at": pa.Column(INSTANT),
        "late_share_day": pa.Column(REAL, SHARE),
        "late_share_week": pa.Column(REAL, SHARE),
        "mean_departure_delay": pa.Column(REAL, MINUTES),
    },
    strict=True,
)
ORIGIN_HOUR = pa.DataFrameSchema(
    {
        "origin": pa.Column(TEXT, AIRPORT),
        "known_at": pa.Column(INSTANT),
        "departures": pa.Column(WHOLE, COUNT),
        "late_share": pa.Column(REAL, SHARE),
        "mean_delay": pa.Column(REAL, MINUTES),
    },
    strict=True,
)
TRAINING_SET = pa.DataFrameSchema(
    {
        "carrier": pa.Column(TEXT),
        "flight": pa.Column(WHOLE, pa.Check.in_range(1, 9999)),
        "origin": pa.Column(TEXT, AIRPORT),
        "dest": pa.Column(TEXT, AIRPORT),
        "scheduled_departure": pa.Column(WALL_CLOCK),
        "tailnum": pa.Column(TEXT, nullable=True),
        "asked_at": pa.Column(INSTANT),
        "late": pa.Column(WHOLE, pa.Check.isin([0, 1])),
        **{f"weather.{name}": column for name, column in WEATHER_VALUES.items() if name != "temp"},
        "plane.year": pa.Column(WHOLE, nullable=True),
        "plane.seats": pa.Column(WHOLE, nullable=True),
        "destination.lat": pa.Column(REAL, nullable=True),
        "destination.lon": pa.Column(REAL, nullable=True),
        "route.distance": pa.Column(WHOLE, nullable=True),
        "route.late_share": pa.Column(REAL, SHARE, nullable=True),
        "route.mean_delay": pa.Column(REAL, MINUTES, nullable=True),
        "route.arrivals": pa.Column(WHOLE, COUNT, nullable=True),
        "carrier_history.late_share_day": pa.Column(REAL, SHARE, nullable=True),
        "carrier_history.late_share_week": pa.Column(REAL, SHARE, nullable=True),
        "carrier_history.mean_departure_delay": pa.Column(REAL, MINUTES, nullable=True),
        "origin_hour.late_share": pa.Column(REAL, SHARE, nullable=True),
        "origin_hour.mean_delay": pa.Column(REAL, MINUTES, nullable=True),
        "origin_hour.departures": pa.Column(WHOLE, COUNT, nullable=True),
    },
    strict=True,
)
