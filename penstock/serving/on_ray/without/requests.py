"""The `requests` of a local Ray head's processes, which import it and hardly ever use it: see `ray_environment`."""

from serve_app.stand_in import put_off

__getattr__ = put_off(__name__)
