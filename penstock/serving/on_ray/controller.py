"""What Ray Serve's controller is told when it starts: an application that is built anew keeps its replicas reachable.

Ray Serve 2.60 forgets which deployment takes an application's requests while it imports and builds the application
again, so that HAProxy has no replica for about a second, although all of them run.
"""

import logging
from typing import Any

from penstock.serving.on_ray import compat

log = logging.getLogger("penstock.serve")


def keep_ingress() -> None:
    """Let this process keep the deployment that takes an application's requests until a new one is known.

    Ray Serve calls it in its controller through RAY_SERVE_CONTROLLER_CALLBACK_IMPORT_PATH.
    """
    state, set_target = compat.APPLICATION_STATE.find(), compat.SET_TARGET.find()
    if state is None or set_target is None:
        log.warning("Ray Serve has moved %s: %s", compat.SET_TARGET.path, compat.SET_TARGET.without)
        return

    def set_and_keep(self: Any, deployment_infos: Any, **options: Any) -> None:
        before = getattr(self, compat.INGRESS_NAME, None)
        set_target(self, deployment_infos, **options)
        if deployment_infos is None:  # it is being built
            setattr(self, compat.INGRESS_NAME, before)

    setattr(state, compat.SET_TARGET.path.rpartition(".")[2], set_and_keep)
