"""A container of an image without a daemon: a mount namespace and chroot, as root."""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

UID = 10001
WANTED = "PENSTOCK_TEST_IMAGES"
ROOT = """set -e
root=$1; home=$2; shift 2
mount --bind "$root" "$root"
mount --bind -o remount,ro "$root"
mount -t proc proc "$root/proc"
mount --rbind /dev "$root/dev"
mount -t tmpfs -o mode=1777 tmpfs "$root/tmp"
mount --bind "$home" "$root/var/lib/penstock"
for file in hosts resolv.conf; do mount --bind "/etc/$file" "$root/etc/$file"; done
exec chroot --userspec=10001:10001 --groups= "$root" "$@"
"""
"""The image's root is read-only in it; only PENSTOCK_HOME and /tmp are written to."""


def why_not() -> str:
    """Why containers are not run here; empty if they are."""
    if not os.environ.get(WANTED):
        return "`make test-images` builds the images and runs them"
    if os.geteuid():
        return "only root runs images without a daemon"
    return "" if shutil.which("buildah") else "buildah is not installed"


def buildah(*arguments: str) -> str:
    """What buildah prints."""
    return subprocess.run(["buildah", *arguments], capture_output=True, check=True, text=True).stdout.strip()


@dataclass(frozen=True)
class Image:
    """An image whose root is mounted at `root`, and its configuration."""

    root: Path
    config: dict[str, Any]

    def command(
        self, home: Path, command: Sequence[str] = (), environment: Mapping[str, str] | None = None
    ) -> list[str]:
        """What runs a command in a container of its own, by default the image's; `home` is its PENSTOCK_HOME."""
        variables = [*self.config["Env"], *(f"{name}={text}" for name, text in (environment or {}).items())]
        inside = ["/usr/bin/env", "-i", "-C", self.config["WorkingDir"], *variables, *(command or self.config["Cmd"])]
        alone = ["unshare", "--mount", "--propagation", "private"]
        return [*alone, "sh", "-c", ROOT, "container", str(self.root), str(home), *inside]

    def run(
        self, home: Path, command: Sequence[str], environment: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run a command to its end."""
        return subprocess.run(self.command(home, command, environment), capture_output=True, check=False, text=True)


@contextmanager
def image(name: str) -> Iterator[Image]:
    """An image by its name, mounted."""
    container = buildah("from", "--pull-never", name)
    try:
        root = Path(buildah("mount", container))
        for file in ("hosts", "resolv.conf"):
            (root / "etc" / file).touch()
        yield Image(root, json.loads(buildah("inspect", "--type", "image", name))["OCIv1"]["config"])
    finally:
        buildah("rm", container)
