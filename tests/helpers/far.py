"""Machines far apart, on one: network namespaces joined by a switch, one of them behind NAT. Only root may make them."""

import os
import shutil
import subprocess
import uuid
from collections.abc import Sequence
from pathlib import Path

HUB = "10.77.0.1"
NEAR = "10.77.0.2"
ROUTER = "10.77.0.3"
MOVED = "10.77.0.4"
"""Where the router is after its provider gave it another address."""


class NotAllowedError(Exception):
    """This machine does not let us make such a network; the message says what it refused."""


def run(*argv: str) -> str:
    """Run a command as root; its output. Raises NotAllowedError where it fails."""
    try:
        done = subprocess.run(argv, capture_output=True, text=True, check=True, timeout=20)
    except (OSError, subprocess.SubprocessError) as error:
        said = error.stderr.strip() if isinstance(error, subprocess.CalledProcessError) else error
        message = f"{' '.join(argv)}: {said}"
        raise NotAllowedError(message) from error
    return done.stdout


class Far:
    """`hub` (the orchestrator's machine), `near` (a node), and `home` (a node behind the NAT of `router`)."""

    def __init__(self) -> None:
        self.mark = uuid.uuid4().hex[:5]
        self.spaces = {name: f"shoal-{self.mark}-{name}" for name in ("switch", "hub", "near", "router", "home")}
        if os.geteuid() or not shutil.which("ip") or not shutil.which("iptables"):
            message = "it takes root, ip and iptables"
            raise NotAllowedError(message)
        try:
            self._build()
        except NotAllowedError:
            self.close()
            raise

    def _build(self) -> None:
        for space in self.spaces.values():
            run("ip", "netns", "add", space)
        self.inside("switch", "ip", "link", "add", "bridge", "type", "bridge")
        self.inside("switch", "ip", "link", "set", "bridge", "up")
        for name, address in (("hub", HUB), ("near", NEAR), ("router", ROUTER)):
            self._cable("switch", f"to-{name}", name, "wan")
            self.inside("switch", "ip", "link", "set", f"to-{name}", "master", "bridge")
            self.inside(name, "ip", "address", "add", f"{address}/24", "dev", "wan")
        self._cable("router", "lan", "home", "lan")
        self.inside("router", "ip", "address", "add", "192.168.77.1/24", "dev", "lan")
        self.inside("home", "ip", "address", "add", "192.168.77.2/24", "dev", "lan")
        self.inside("home", "ip", "route", "add", "default", "via", "192.168.77.1")
        self.inside("router", "sysctl", "-qw", "net.ipv4.ip_forward=1")
        self.inside("router", "iptables", "-t", "nat", "-A", "POSTROUTING", "-o", "wan", "-j", "MASQUERADE")
        self.inside("router", "iptables", "-A", "FORWARD", "-i", "wan", "-m", "state", "--state", "NEW", "-j", "DROP")

    def _cable(self, one: str, its_end: str, other: str, other_end: str) -> None:
        made = ("ip", "link", "add", its_end, "netns", self.spaces[one], "type", "veth", "peer", "name", other_end)
        run(*made, "netns", self.spaces[other])
        for name, end in ((one, its_end), (other, other_end)):
            self.inside(name, "ip", "link", "set", "lo", "up")
            self.inside(name, "ip", "link", "set", end, "up")

    def entering(self, name: str) -> list[str]:
        """What to put before a command line, so that it runs on this machine, with the files and cgroups of the real one."""
        return ["nsenter", f"--net=/run/netns/{self.spaces[name]}"]

    def inside(self, name: str, *argv: str) -> str:
        """Run a command on one machine. Raises NotAllowedError where it fails."""
        return run(*self.entering(name), *argv)

    def delay(self, milliseconds: int) -> None:
        """Have everything between the hub and the others take longer. Raises NotAllowedError."""
        for name in ("router", "near"):
            half = f"{milliseconds // 2}ms"
            self.inside(name, "tc", "qdisc", "add", "dev", "wan", "root", "netem", "delay", half)
            self.inside("switch", "tc", "qdisc", "add", "dev", f"to-{name}", "root", "netem", "delay", half)

    def cut(self, name: str) -> None:
        """Nothing passes between a machine and the switch; nobody is told."""
        self.inside("switch", "ip", "link", "set", f"to-{name}", "nomaster")

    def mend(self, name: str) -> None:
        """It passes again."""
        self.inside("switch", "ip", "link", "set", f"to-{name}", "master", "bridge")

    def move_router(self) -> None:
        """The router gets another address: what went through it leads nowhere, and nobody is told."""
        self.inside("router", "ip", "address", "add", f"{MOVED}/24", "dev", "wan")
        self.inside("router", "ip", "address", "del", f"{ROUTER}/24", "dev", "wan")
        self.inside("router", "ip", "address", "replace", f"{MOVED}/24", "dev", "wan")

    def listeners(self, name: str) -> Sequence[str]:
        """The TCP ports that programs of a machine listen on."""
        rows = self.inside(name, "cat", "/proc/net/tcp").splitlines()[1:]
        return [row.split()[1] for row in rows if row.split()[3] == "0A"]

    def close(self) -> None:
        """Take all of it down."""
        for space in self.spaces.values():
            subprocess.run(["ip", "netns", "del", space], capture_output=True, check=False)


class Authority:
    """Certificates by an authority of one's own, made with openssl."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir(parents=True)
        self.directory = directory
        self.ca = directory / "ca.pem"
        new = ("openssl", "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj")
        key = str(directory / "ca.key")
        run(*new, "/CN=an authority of a test", "-x509", "-days", "2", "-keyout", key, "-out", str(self.ca))

    def certificate(self, *addresses: str) -> tuple[Path, Path]:
        """A certificate for these addresses, and its key."""
        cert, key, asked = (self.directory / f"server.{kind}" for kind in ("pem", "key", "csr"))
        names = self.directory / "names"
        names.write_text("subjectAltName=" + ",".join(f"IP:{address}" for address in addresses))
        run(
            "openssl",
            "req",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-nodes",
            "-subj",
            "/CN=hub",
            "-keyout",
            str(key),
            "-out",
            str(asked),
        )
        sign = ("openssl", "x509", "-req", "-days", "2", "-in", str(asked), "-CA", str(self.ca), "-CAcreateserial")
        run(*sign, "-CAkey", str(self.directory / "ca.key"), "-extfile", str(names), "-out", str(cert))
        return cert, key
