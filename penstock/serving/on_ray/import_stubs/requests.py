"""The `requests` of a local Ray head's processes, which import it and hardly ever use it: see `ray_environment`."""

from penstock.serving.on_ray.stubs import lazy_package

__getattr__ = lazy_package(__name__)
