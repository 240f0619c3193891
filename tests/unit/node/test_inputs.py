"""Input sources: what is mounted, and what is refused with which words."""

import base64
import io
import tarfile
from pathlib import Path
from typing import Any

import pytest

from node.engines.base import Mount
from node.inputs.base import InputError
from node.inputs.globs import compile_glob
from node.inputs.inline import InlineSource
from node.inputs.local import LocalSource
from orchestrator.contract.job import InputSource, SpecConfig


def wanted(kind: str, **params: Any) -> InputSource:
    return InputSource(source=SpecConfig(type=kind, params=params), alias="", target="/in")


@pytest.mark.parametrize(
    ("pattern", "matching", "others"),
    [
        ("/data/**", ["/data", "/data/a", "/data/a/b"], ["/database", "/dat", "/x/data/a"]),
        ("/data/*", ["/data/a", "/data/.b"], ["/data", "/data/a/b"]),
        ("/data/**/x.csv", ["/data/x.csv", "/data/a/b/x.csv"], ["/data/ax.csv", "/x.csv"]),
        ("/d/{a,b}/?", ["/d/a/1", "/d/b/2"], ["/d/c/1", "/d/a/12", "/d/a//"]),
        ("/d/[0-9][!x]", ["/d/1a", "/d/9-"], ["/d/aa", "/d/1x", "/d/1/"]),
        ("/a.b", ["/a.b"], ["/axb"]),
        ("/a\\*", ["/a*"], ["/ab"]),
    ],
)
def test_globs(pattern: str, matching: list[str], others: list[str]) -> None:
    glob = compile_glob(pattern)
    assert [path for path in matching if not glob.fullmatch(path)] == []
    assert [path for path in others if glob.fullmatch(path)] == []


async def test_a_local_path_is_mounted_as_it_is_and_read_only(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("x")
    source = LocalSource((f"{tmp_path}/**",))
    mount = await source.prepare(wanted("local", SourcePath=f"{tmp_path}/b/../a"), tmp_path / "unused")
    assert mount == Mount(source=tmp_path / "a", target="/in")
    assert not (tmp_path / "unused").exists()


async def test_writing_needs_rw(tmp_path: Path) -> None:
    source = LocalSource((f"{tmp_path}/ro/**", f"{tmp_path}/rw/**:rw"))
    for name in ("ro", "rw"):
        (tmp_path / name).mkdir()
    mount = await source.prepare(wanted("local", SourcePath=f"{tmp_path}/rw", ReadWrite=True), tmp_path)
    assert mount.is_writable
    with pytest.raises(InputError, match=f"volume {tmp_path}/ro is not granted write access"):
        await source.prepare(wanted("local", SourcePath=f"{tmp_path}/ro", ReadWrite="true"), tmp_path)


async def test_a_link_out_of_what_is_allowed_is_refused(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in/link").symlink_to("/etc")
    source = LocalSource((f"{tmp_path}/in/**",))
    with pytest.raises(InputError, match=r"volume .*/in/link is not allowlisted: it leads to /etc"):
        await source.prepare(wanted("local", SourcePath=f"{tmp_path}/in/link"), tmp_path)


async def test_an_allowed_directory_may_itself_be_a_link(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "real/a").write_text("x")
    (tmp_path / "link").symlink_to(tmp_path / "real")
    mount = await LocalSource((f"{tmp_path}/link/**",)).prepare(
        wanted("local", SourcePath=f"{tmp_path}/link/a"), tmp_path
    )
    assert mount.source == tmp_path / "real/a"


async def test_what_is_not_there_is_made_only_when_asked(tmp_path: Path) -> None:
    source = LocalSource((f"{tmp_path}/**",))
    with pytest.raises(InputError, match="does not exist and creation is not allowed"):
        await source.prepare(wanted("local", SourcePath=f"{tmp_path}/x"), tmp_path)
    await source.prepare(wanted("local", SourcePath=f"{tmp_path}/a/b", CreateAs="DIR"), tmp_path)
    await source.prepare(wanted("local", SourcePath=f"{tmp_path}/c/d", CreateAs="file"), tmp_path)
    assert (tmp_path / "a/b").is_dir()
    assert (tmp_path / "c/d").is_file()
    with pytest.raises(InputError, match="invalid CreateAs value x"):
        await source.prepare(wanted("local", SourcePath=f"{tmp_path}/x", CreateAs="x"), tmp_path)


async def test_a_path_that_is_not_allowed_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"^volume /etc/passwd is not allowlisted$"):
        await LocalSource((f"{tmp_path}/**",)).prepare(wanted("local", SourcePath="/etc/passwd"), tmp_path)


async def test_inline_data_is_one_file_at_the_target(tmp_path: Path) -> None:
    mount = await InlineSource().prepare(wanted("inline", URL="data:text/plain,a%20b"), tmp_path / "0")
    assert mount.target == "/in"
    assert not mount.is_writable
    assert mount.source.read_bytes() == b"a b"


async def test_an_inline_archive_is_a_directory(tmp_path: Path) -> None:
    url = archive({"a/b": b"deep", "c": b"top"})
    mount = await InlineSource().prepare(wanted("inline", URL=url), tmp_path / "0")
    assert (mount.source / "a/b").read_bytes() == b"deep"
    assert (mount.source / "c").read_bytes() == b"top"


async def test_an_archive_cannot_write_outside(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="its archive cannot be unpacked"):
        await InlineSource().prepare(wanted("inline", URL=archive({"../out": b"x"})), tmp_path / "0")
    assert not (tmp_path / "0/out").exists()


async def test_an_archive_may_not_unpack_to_too_much(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("node.inputs.inline.MOST_BYTES", 100)
    with pytest.raises(InputError, match="unpacks to more than 100 bytes"):
        await InlineSource().prepare(wanted("inline", URL=archive({"a": b"x" * 101})), tmp_path / "0")


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("http://x/y", "found"),
        ("data:application/gzip;base64,AAAA", "its archive cannot be unpacked"),
        ("data:;base64,A", "base64"),
    ],
)
async def test_inline_data_that_cannot_be_read_is_refused(tmp_path: Path, url: str, message: str) -> None:
    with pytest.raises(InputError, match=r"^input /in: ") as refused:
        await InlineSource().prepare(wanted("inline", URL=url), tmp_path / "0")
    assert message in refused.value.message


def archive(files: dict[str, bytes]) -> str:
    """A data URL of a tar.gz."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    return "data:application/gzip;base64," + base64.b64encode(buffer.getvalue()).decode()
