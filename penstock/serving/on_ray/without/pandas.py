"""Found before pandas in the processes of a local Ray head, see `penstock.serving.on_ray.environment`."""

from penstock.serving.on_ray.stand_in import stand_in

stand_in("pandas")
