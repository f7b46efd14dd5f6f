import ipaddress
import socket
import ssl
import stat
import threading
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from common.errors import InputError, MissingFileError, UnreadableFileError
from server.home.certificates import (
    certificate_bytes,
    key_bytes,
    new_authority,
    new_server,
    read_certificate,
    read_signer,
    write_secret,
)


@pytest.fixture
def issued(tmp_path: Path) -> tuple[Path, Path, Path]:
    """(root certificate, server certificate, its key) for a coordinator called `hub.example.org`."""
    authority, signer = new_authority("test")
    server, key = new_server(authority, signer, ["hub.example.org"])
    paths = (tmp_path / "ca.crt", tmp_path / "server.crt", tmp_path / "server.key")
    paths[0].write_bytes(certificate_bytes(authority))
    paths[1].write_bytes(certificate_bytes(server))
    write_secret(paths[2], key_bytes(key))
    return paths


def handshake(issued: tuple[Path, Path, Path], name: str) -> None:
    """One TLS handshake over loopback, as a hospital that dials `name` and trusts the root certificate alone."""
    root, certificate, key = issued
    serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    serving.load_cert_chain(certificate, key)
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            connection, _ = listener.accept()
            try:
                serving.wrap_socket(connection, server_side=True).close()
            except (ssl.SSLError, OSError):  # the other side went away, which it reports itself
                connection.close()

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            with socket.create_connection(listener.getsockname()) as connection:
                trusting = ssl.create_default_context(cafile=str(root))
                with trusting.wrap_socket(connection, server_hostname=name):
                    pass
        finally:
            thread.join()


HOSTNAME_MISMATCH = 62
"""X509_V_ERR_HOSTNAME_MISMATCH of OpenSSL."""


@pytest.mark.parametrize("name", ["hub.example.org", "localhost", "127.0.0.1"])
def test_a_hospital_that_trusts_the_root_accepts_the_coordinators_names(
    issued: tuple[Path, Path, Path], name: str
) -> None:
    handshake(issued, name)


def test_another_name_and_another_authority_are_not_accepted(issued: tuple[Path, Path, Path]) -> None:
    with pytest.raises(ssl.SSLCertVerificationError) as refused:
        handshake(issued, "elsewhere.example.org")
    assert refused.value.verify_code == HOSTNAME_MISMATCH
    stranger, _ = new_authority("test")
    issued[0].write_bytes(certificate_bytes(stranger))
    with pytest.raises(ssl.SSLCertVerificationError):
        handshake(issued, "hub.example.org")


def test_an_address_is_named_as_an_address() -> None:
    authority, signer = new_authority("test")
    server, key = new_server(authority, signer, ["192.0.2.7"])
    names = server.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.IPAddress) == [
        ipaddress.ip_address("192.0.2.7"),
        ipaddress.ip_address("127.0.0.1"),
    ]
    assert isinstance(key.curve, ec.SECP256R1)
    assert isinstance(signer.curve, ec.SECP384R1)


def test_keys_are_for_their_owner_alone_and_never_written_over(issued: tuple[Path, Path, Path]) -> None:
    assert stat.S_IMODE(issued[2].stat().st_mode) == 0o600
    with pytest.raises(FileExistsError):
        write_secret(issued[2], b"other")


def test_a_servers_certificate_ends_no_later_than_its_authority(
    issued: tuple[Path, Path, Path],
) -> None:
    authority, server = (read_certificate(path, "make it") for path in issued[:2])
    assert server.not_valid_after_utc < authority.not_valid_after_utc
    young, signer = new_authority("young", years=1)
    assert new_server(young, signer, ["localhost"])[0].not_valid_after_utc == young.not_valid_after_utc


def test_a_file_that_is_no_certificate_or_key_is_told_with_the_remedy(
    issued: tuple[Path, Path, Path], tmp_path: Path
) -> None:
    kinds: tuple[type[InputError], ...] = (MissingFileError, UnreadableFileError)
    for path, kind in zip((tmp_path / "none", issued[2]), kinds, strict=True):
        with pytest.raises(kind) as refused:
            read_certificate(path, "make it")
        assert (refused.value.where, refused.value.remedy) == (str(path), "make it")
    for path, kind in zip((tmp_path / "none", issued[1]), kinds, strict=True):
        with pytest.raises(kind) as refused:
            read_signer(path)
        assert refused.value.where == str(path)
    issued[2].write_bytes(issued[2].read_bytes() + issued[1].read_bytes())  # one file for both
    assert read_certificate(issued[2], "make it") == read_certificate(issued[1], "make it")
    assert read_signer(issued[2]).public_key() == read_certificate(issued[1], "make it").public_key()
