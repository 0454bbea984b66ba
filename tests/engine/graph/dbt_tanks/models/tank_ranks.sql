select tank, cast(row_number() over (order by inflow desc, tank) as bigint) as place from {{ ref('tank_totals') }}
