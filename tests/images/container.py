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


def why_not(*images: str) -> str:
    """Why containers of these images cannot run here; empty if they can."""
    if os.geteuid():
        return "only root runs images without a daemon"
    if not shutil.which("buildah"):
        return "buildah is not installed"
    missing = [name for name in images if buildah_fails("inspect", "--type", "image", name)]
    return f"`make test-images` builds {' and '.join(missing)} first" if missing else ""


def buildah_fails(*arguments: str) -> bool:
    return subprocess.run(["buildah", *arguments], capture_output=True, check=False).returncode != 0


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
