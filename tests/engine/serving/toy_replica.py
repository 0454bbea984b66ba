"""One replica of the toy model as a process of its own, to be killed: `python -m …toy_replica PORT URL HOME`."""

import sys
from pathlib import Path

import uvicorn

from penstock.serving.app import App
from penstock.settings import Settings
from tests.engine.serving import toy

if __name__ == "__main__":
    app = App(Settings(home=Path(sys.argv[3])), sys.argv[2], {"overflow": toy.CONTRACT})
    uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), loop="uvloop", http="httptools", log_level="warning")
