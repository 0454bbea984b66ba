"""A replica of so many models under bare uvicorn: `python -m benchmarks.models.replica COUNT PORT URL HOME`."""

import sys
from pathlib import Path

import uvicorn

from benchmarks.models.declarations import contracts
from penstock.serving.app import App
from penstock.settings import Settings

if __name__ == "__main__":
    app = App(Settings(home=Path(sys.argv[4])), sys.argv[3], contracts(int(sys.argv[1])))
    uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[2]), loop="uvloop", http="httptools", log_level="warning")
