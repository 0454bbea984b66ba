"""What is asked of a deploy's process, and what it answers."""

import msgspec

from penstock.serving.deploying.code_copy import Code

LOCK = "lock"
"""The file, in the folder of deploys, that the one deploy of a home holds."""


class Target(msgspec.Struct, frozen=True):
    """What is to serve.

    - `config` is the text of a serve_config.yaml, `name` what its faults are told by.
    - `head` is the address of Ray's head, or the URL of the dashboard of a cluster that others run.
    - `upload`: such a cluster gets the code; else its nodes have it.
    - `back`: the newest deploy but one is to serve again.
    """

    head: str
    code: Code
    config: str
    name: str
    back: bool = False
    upload: bool = True


class DeployResult(msgspec.Struct, frozen=True):
    """What came of it.

    - `number` is the deploy that serves now, 0 for none.
    - `refused` says why nothing was changed; `failed` why what was changed is as before again.
    - `warnings` are faults of models that were not served before either.
    """

    number: int
    refused: str = ""
    failed: str = ""
    warnings: tuple[str, ...] = ()
