"""The contract of `flight_delay`: will a flight from New York arrive more than 15 minutes late?"""

from datetime import datetime
from typing import Annotated, Any

import msgspec
import numpy as np

from penstock.contract.contract import Column, Columns, Contract, Feature, Lookup, Output

Code = Annotated[str, msgspec.Meta(pattern="^[A-Z0-9]{2,4}$", min_length=2, max_length=4)]


class FlightDelayRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One coming departure, as the backend knows it from the schedule."""

    carrier: Annotated[Code, msgspec.Meta(description="Airline, IATA code.", examples=["UA"])]
    flight: Annotated[int, msgspec.Meta(ge=1, le=9999, description="Flight number.", examples=[1545])]
    origin: Annotated[Code, msgspec.Meta(description="Airport of departure, IATA code.", examples=["EWR"])]
    dest: Annotated[Code, msgspec.Meta(description="Airport of arrival, IATA code.", examples=["IAH"])]
    scheduled_departure: Annotated[
        datetime,
        msgspec.Meta(tz=False, description="Local time at the origin, no zone.", examples=["2026-11-23T08:15:00"]),
    ]
    tailnum: (
        Annotated[str, msgspec.Meta(min_length=1, max_length=8, description="The plane.", examples=["N14228"])] | None
    ) = None
    asked_at: (
        Annotated[datetime, msgspec.Meta(tz=True, description="When is asked; the service's now if absent.")] | None
    ) = None


FEATURES = (
    Feature("hour", "number", "local hour of departure, with its minutes as a fraction"),
    Feature("weekday", "number", "0 is Monday"),
    Feature("carrier", "text"),
    Feature("origin", "text"),
    Feature("dest", "text"),
    Feature("distance", "number", "miles"),
    Feature("route_late_share", "number", "share of late arrivals of carrier and route, 28 days"),
    Feature("route_mean_delay", "number", "minutes, 28 days"),
    Feature("route_arrivals", "number", "arrivals of carrier and route, 28 days"),
    Feature("carrier_late_share_day", "number", "carrier at this origin, last day"),
    Feature("carrier_late_share_week", "number", "carrier at this origin, 7 days"),
    Feature("carrier_departure_delay", "number", "minutes, 7 days"),
    Feature("origin_late_share", "number", "share of late departures at the origin, last 3 hours"),
    Feature("origin_mean_delay", "number", "minutes, last 3 hours"),
    Feature("origin_departures", "number", "departures at the origin, last 3 hours"),
    Feature("humid", "number", "percent"),
    Feature("wind_speed", "number", "miles per hour"),
    Feature("wind_gust", "number", "miles per hour"),
    Feature("precip", "number", "inches"),
    Feature("pressure", "number", "millibar"),
    Feature("visib", "number", "miles"),
    Feature("plane_year", "number", "year of manufacture"),
    Feature("plane_seats", "number"),
    Feature("dest_lat", "number", "degrees"),
    Feature("dest_lon", "number", "degrees"),
)


def features(columns: Columns) -> dict[str, np.ndarray[Any, Any]]:
    """The feature vectors of n requests with their lookups; only arithmetic that gives the same bits anywhere."""
    departure = columns["scheduled_departure"]
    day = departure.astype("datetime64[D]")
    return {
        "hour": (departure - day).astype("timedelta64[m]").astype(np.float64) / 60.0,
        "weekday": ((day.astype(np.int64) + 3) % 7).astype(np.float64),
        "carrier": columns["carrier"],
        "origin": columns["origin"],
        "dest": columns["dest"],
        "distance": columns["route.distance"],
        "route_late_share": columns["route.late_share"],
        "route_mean_delay": columns["route.mean_delay"],
        "route_arrivals": columns["route.arrivals"],
        "carrier_late_share_day": columns["carrier_history.late_share_day"],
        "carrier_late_share_week": columns["carrier_history.late_share_week"],
        "carrier_departure_delay": columns["carrier_history.mean_departure_delay"],
        "origin_late_share": columns["origin_hour.late_share"],
        "origin_mean_delay": columns["origin_hour.mean_delay"],
        "origin_departures": columns["origin_hour.departures"],
        "humid": columns["weather.humid"],
        "wind_speed": columns["weather.wind_speed"],
        "wind_gust": columns["weather.wind_gust"],
        "precip": columns["weather.precip"],
        "pressure": columns["weather.pressure"],
        "visib": columns["weather.visib"],
        "plane_year": columns["plane.year"],
        "plane_seats": columns["plane.seats"],
        "dest_lat": columns["destination.lat"],
        "dest_lon": columns["destination.lon"],
    }


CONTRACT = Contract(
    model="flight_delay",
    purpose="The probability that a departure from New York arrives more than 15 minutes late.",
    request=FlightDelayRequest,
    entity=("carrier", "flight", "origin", "scheduled_departure"),
    lookups=(
        Lookup(
            name="weather",
            table="weather",
            key={"origin": "origin"},
            as_of=("observed_at", "asked_at"),
            columns=(
                Column("humid", "number", "percent"),
                Column("wind_speed", "number", "miles per hour"),
                Column("wind_gust", "number", "miles per hour"),
                Column("precip", "number", "inches"),
                Column("pressure", "number", "millibar"),
                Column("visib", "number", "miles"),
            ),
        ),
        Lookup(
            name="plane",
            table="planes",
            key={"tailnum": "tailnum"},
            columns=(Column("year", "number"), Column("seats", "number")),
        ),
        Lookup(
            name="destination",
            table="airports",
            key={"faa": "dest"},
            columns=(Column("lat", "number", "degrees"), Column("lon", "number", "degrees")),
        ),
        Lookup(
            name="route",
            table="route_history",
            key={"carrier": "carrier", "origin": "origin", "dest": "dest"},
            as_of=("known_at", "asked_at"),
            columns=(
                Column("distance", "number", "miles"),
                Column("late_share", "number"),
                Column("mean_delay", "number", "minutes"),
                Column("arrivals", "number"),
            ),
        ),
        Lookup(
            name="carrier_history",
            table="carrier_history",
            key={"carrier": "carrier", "origin": "origin"},
            as_of=("known_at", "asked_at"),
            columns=(
                Column("late_share_day", "number"),
                Column("late_share_week", "number"),
                Column("mean_departure_delay", "number", "minutes"),
            ),
        ),
        Lookup(
            name="origin_hour",
            table="origin_hour",
            key={"origin": "origin"},
            as_of=("known_at", "asked_at"),
            columns=(
                Column("late_share", "number"),
                Column("mean_delay", "number", "minutes"),
                Column("departures", "number"),
            ),
        ),
    ),
    features=FEATURES,
    compute=features,
    output=Output(name="late", kind="classifier", classes=("on_time", "late")),
)
