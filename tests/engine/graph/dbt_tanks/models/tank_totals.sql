select tank, cast(sum(inflow) as double) as inflow from {{ source('plant', 'readings') }} group by tank
