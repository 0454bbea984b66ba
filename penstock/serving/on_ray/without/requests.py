"""The `requests` of a local Ray head's processes, which import it and hardly ever use it: see `ray_environment`."""

from penstock.serving.on_ray.stand_in import put_off

__getattr__ = put_off(__name__)
