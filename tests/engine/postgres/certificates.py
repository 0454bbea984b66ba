"""A certificate authority of a test, and certificates that it signs."""

import subprocess
from pathlib import Path


class Authority:
    """Its certificate is `ca`, in a folder that the server's account may enter."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self.ca = folder / "ca.crt"
        self._key = folder / "ca.key"
        _openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
                 "-subj", f"/CN=authority of {folder.name}", "-addext", "basicConstraints=critical,CA:TRUE",
                 "-addext", "keyUsage=critical,keyCertSign", "-keyout", str(self._key),
                 "-out", str(self.ca))  # fmt: skip

    def sign(self, name: str) -> tuple[Path, Path]:
        """The certificate of a host name, and its key."""
        certificate, key, wanted = (self._folder / f"{name}.{end}" for end in ("crt", "key", "csr"))
        _openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", f"/CN={name}",
                 "-addext", f"subjectAltName=DNS:{name}", "-keyout", str(key), "-out", str(wanted))  # fmt: skip
        _openssl("x509", "-req", "-in", str(wanted), "-CA", str(self.ca), "-CAkey", str(self._key), "-days", "2",
                 "-copy_extensions", "copy", "-out", str(certificate))  # fmt: skip
        return certificate, key


def _openssl(*arguments: str) -> None:
    subprocess.run(["openssl", *arguments], check=True, capture_output=True)
