"""Found before pandas in the processes of a local Ray head, see `serve_app.ray_environment`."""

from serve_app.stand_in import stand_in

stand_in("pandas")
