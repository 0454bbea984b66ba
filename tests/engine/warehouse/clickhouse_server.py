"""chdb's engine behind the HTTP of a ClickHouse server, as far as the vendor's driver asks it.

`python -m tests.engine.warehouse.clickhouse_server FOLDER` prints its port. The user is `me`, the password `hunter2`.
"""

import base64
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, urlsplit

from chdb.session import Session

FOLDER = sys.argv[1] if __name__ == "__main__" else ""
ALLOWED = f"Basic {base64.b64encode(b'me:hunter2').decode()}"
SETTINGS: set[str] = set()
"""Those of the engine; what else a request asks for is HTTP's."""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.do_POST()

    def do_POST(self) -> None:
        asked = dict(parse_qsl(urlsplit(self.path).query))
        body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
        settings = {name: value for name, value in asked.items() if name in SETTINGS}
        if self.headers.get("Authorization") != ALLOWED:
            self.answer(403, b"Code: 516. DB::Exception: me: Authentication failed. (AUTHENTICATION_FAILED)", "516")
            return
        with Session(FOLDER) as session:
            try:
                if settings:
                    session.query("SET " + ", ".join(f"{name} = '{value}'" for name, value in settings.items()))
                found = session.query(body or asked["query"], asked.get("default_format", "TabSeparated")).bytes()
            except RuntimeError as error:
                said = str(error)
                self.answer(500, said.encode(), said.partition("Code: ")[2].partition(".")[0] or "1")
                return
        self.answer(200, found)

    def answer(self, status: int, body: bytes, code: str = "") -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        if code:
            self.send_header("X-ClickHouse-Exception-Code", code)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


if __name__ == "__main__":
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    opened = Session(FOLDER)  # the engine stays open
    SETTINGS.update(str(opened.query("SELECT name FROM system.settings", "TabSeparated")).split())
    print(server.server_address[1], flush=True)
    server.serve_forever()
