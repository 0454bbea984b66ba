"""Found before pyarrow in the processes of a local Ray head, see `penstock.serving.on_ray.environment`."""

from penstock.serving.on_ray.stubs import refuse_ray

refuse_ray("pyarrow")
