"""The file of certificate, chain and key with which the service has HTTPS: whether clients could use it, how long."""

import ssl
import time
from pathlib import Path

from penstock.settings import SettingError

VARIABLE = "PENSTOCK_TLS_FILE"
SOON_DAYS = 14


def days_left(file: str) -> float:
    """For how many days the certificate of a PEM file is valid; SettingError where nobody could be served with it."""
    server, client = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.check_hostname = False
    client.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN  # whoever has signed it is a matter of the clients
    try:
        if lacking := _lacking(Path(file).read_text(errors="replace")):
            raise _refused(file, lacking)
        server.load_cert_chain(file, password="")
        client.load_verify_locations(file)
        not_after = _met(server, client).getpeercert()
    except ssl.SSLCertVerificationError as error:
        raise _refused(file, error.verify_message) from None
    except ssl.SSLError as error:
        raise _refused(file, str(error.reason or error).lower().replace("_", " ")) from None
    except OSError as error:
        raise _refused(file, str(error.strerror)) from None
    assert not_after is not None
    return (ssl.cert_time_to_seconds(str(not_after["notAfter"])) - time.time()) / 86_400


def _lacking(text: str) -> str:
    """What a file is without, whose words OpenSSL has no sentence for; empty where nothing is missing."""
    if "-----BEGIN CERTIFICATE-----" not in text:
        return "no certificate"
    if "PRIVATE KEY-----" not in text:
        return "no private key"
    return "a private key with a passphrase" if "ENCRYPTED" in text else ""


def _met(server: ssl.SSLContext, client: ssl.SSLContext) -> ssl.SSLObject:
    """The client's side of a handshake in memory."""
    to_client, to_server = ssl.MemoryBIO(), ssl.MemoryBIO()
    asking = client.wrap_bio(to_client, to_server)
    answering = server.wrap_bio(to_server, to_client, server_side=True)
    for side in (asking, answering, asking):
        try:
            side.do_handshake()
        except ssl.SSLWantReadError:
            continue
    return asking


def _refused(file: str, found: str) -> SettingError:
    return SettingError(
        f"{VARIABLE}={Path(file)}",
        expected="a PEM of a valid certificate, its chain and its private key without a passphrase",
        found=found,
        todo="Write it: cat certificate.pem chain.pem key.pem > tls.pem",
    )
