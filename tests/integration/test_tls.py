"""`python -m orchestrator` with a certificate: a renewed one is shown without a restart, a broken one is said and not shown."""

import http.client
import os
import re
import shutil
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.helpers.far import Authority
from tests.helpers.processes import Process, wait_until

HOST = "127.0.0.1"
ENVIRON = {key: value for key, value in os.environ.items() if not key.startswith("SHOAL_")}


class Safe:
    """An orchestrator with a certificate of an authority of its own."""

    def __init__(self, directory: Path) -> None:
        self.authority = Authority(directory / "authority")
        self.cert, self.key = self.authority.certificate(HOST)
        argv = [sys.executable, "-m", "orchestrator", "--port", "0", "--store", "memory"]
        argv += ["--data-dir", str(directory / "data"), "--tls-cert", str(self.cert), "--tls-key", str(self.key)]
        self.log = directory / "said"
        self.process = Process("orchestrator", argv, self.log, ENVIRON)
        found = wait_until(lambda: re.search(r"url=https://127\.0\.0\.1:(\d+)", self.said()), 60, "it listens")
        self.port = int(found[1])
        self.trust = ssl.create_default_context(cafile=self.authority.ca)

    def said(self) -> str:
        return self.log.read_text() if self.log.exists() else ""

    def connect(self) -> ssl.SSLSocket:
        return self.trust.wrap_socket(socket.create_connection((HOST, self.port), timeout=30), server_hostname=HOST)

    def serial(self) -> object:
        """The number of the certificate that a new connection is shown."""
        with self.connect() as connection:
            return (connection.getpeercert() or {})["serialNumber"]


@pytest.fixture
def safe(tmp_path: Path) -> Iterator[Safe]:
    one = Safe(tmp_path)
    yield one
    one.process.kill()


def test_a_renewed_certificate_is_shown_at_once_and_connections_go_on(safe: Safe) -> None:
    before = safe.serial()
    assert safe.serial() == before
    old = http.client.HTTPSConnection(HOST, safe.port, context=safe.trust, timeout=30)
    old.request("GET", "/livez")
    assert old.getresponse().read()
    safe.authority.certificate(HOST)
    assert safe.serial() != before
    assert safe.said().count("event=certificate_read") == 1
    old.request("GET", "/livez")
    assert old.getresponse().status == 200
    old.close()


def test_a_broken_pair_is_said_once_and_the_one_before_kept(safe: Safe) -> None:
    before = safe.serial()
    good = safe.cert.read_bytes()
    for break_it in (lambda: safe.cert.write_text("no certificate"), safe.cert.unlink):
        break_it()
        assert safe.serial() == before
        assert safe.serial() == before
    refusals = [line for line in safe.said().splitlines() if "event=certificate_refused" in line]
    assert len(refusals) == 2
    assert all(str(safe.cert) in line and "level=error" in line for line in refusals)
    assert "no such file" in refusals[1]
    assert "Traceback" not in safe.said()
    safe.cert.write_bytes(good)
    assert safe.serial() == before
    safe.authority.certificate(HOST)
    assert safe.serial() != before


def test_a_key_of_another_certificate_or_with_a_password_is_refused_at_the_start(tmp_path: Path) -> None:
    one, other = Authority(tmp_path / "one"), Authority(tmp_path / "other")
    (cert, _), (_, key) = one.certificate(HOST), other.certificate(HOST)
    locked = tmp_path / "locked.key"
    openssl = shutil.which("openssl") or ""
    argv = [openssl, "pkey", "-aes256", "-passout", "pass:x", "-in", str(key), "-out", str(locked)]
    subprocess.run(argv, capture_output=True, check=True)
    for wrong in (key, locked, tmp_path / "none"):
        argv = [sys.executable, "-m", "orchestrator", "--port", "0", "--data-dir", str(tmp_path / "data")]
        argv += ["--tls-cert", str(cert), "--tls-key", str(wrong)]
        done = subprocess.run(argv, capture_output=True, text=True, timeout=60, env=ENVIRON, check=False)
        assert (done.returncode, len(done.stderr.splitlines())) == (1, 1)
        assert f"tls_key {wrong}: " in done.stderr
        assert "allowed: a certificate and its key as PEM files without a password" in done.stderr
