"""Where input comes from and results go, as `docker run` takes it: `--input`, `--output`, `--publisher`."""

import base64
import csv
import gzip
import io
import tarfile
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from tui.cli.diagnostics import UsageError

DEFAULT_TARGET = "/inputs"
MOST_MODULE = 20_000_000
"""Bytes of a module before it is packed; a request has 10 MB."""
S3_OPTIONS = {
    "endpoint": "Endpoint",
    "region": "Region",
    "versionid": "VersionID",
    "checksum256": "ChecksumSHA256",
    "filter": "Filter",
}
INPUT_FORMS = (
    "file:///path, https://host/file or s3://bucket/key, with :PATH behind it, or src=URI,dst=PATH,opt=name=value"
)


def input_source(text: str) -> dict[str, Any]:
    """An input of `URI`, `URI:dst` or `src=URI,dst=PATH,opt=name=value`. Raises UsageError."""
    uri, target, options = _parts(text)
    parts = urlsplit(uri)
    match parts.scheme:
        case "file" | "":
            path = _absolute(unquote(parts.netloc + parts.path) if parts.scheme else uri)
            source = {"Type": "local", "Params": {"SourcePath": path, "ReadWrite": _truth(options.pop("rw", "false"))}}
        case "http" | "https":
            source = {"Type": "urlDownload", "Params": {"URL": uri}}
        case "s3":
            known = {
                S3_OPTIONS[name.lower()]: options.pop(name) for name in list(options) if name.lower() in S3_OPTIONS
            }
            source = {"Type": "s3", "Params": {"Bucket": parts.netloc, "Key": parts.path.lstrip("/"), **known}}
        case "ipfs":
            source = {"Type": "ipfs", "Params": {"CID": parts.netloc + parts.path}}
        case _:
            message = f"--input: unknown storage schema: {parts.scheme} (allowed: {INPUT_FORMS})"
            raise UsageError(message)
    if options:
        message = f'--input: unknown option "{next(iter(options))}" for storage {source["Type"]}'
        raise UsageError(message)
    return {"Source": source, "Alias": uri, "Target": target}


def module_input(text: str, target: str) -> dict[str, Any]:
    """The input that brings a WASM module: a file from here goes with the job, as a gzipped tar. Raises UsageError."""
    if "://" in text:
        return input_source(f"src={text},dst={target}")
    packed = io.BytesIO()
    try:
        size = Path(text).stat().st_size
        if size > MOST_MODULE:
            message = f"{text}: {size} bytes, allowed: {MOST_MODULE}; put it where the nodes can read it: file:///path"
            raise UsageError(message)
        with (
            gzip.GzipFile(fileobj=packed, mode="wb", filename="", mtime=0) as zipped,
            tarfile.open(fileobj=zipped, mode="w") as archive,
        ):
            archive.add(text, arcname=target, recursive=False, filter=_nameless)
    except OSError as error:
        message = f"{text}: {(error.strerror or str(error)).lower()}"
        raise UsageError(message) from error
    url = f"data:application/gzip;base64,{base64.b64encode(packed.getvalue()).decode()}"
    return {"Source": {"Type": "inline", "Params": {"URL": url}}, "Alias": "", "Target": target}


def _nameless(member: tarfile.TarInfo) -> tarfile.TarInfo:
    """A file without its owner and time: the same module is the same job."""
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    member.mtime, member.mode = 0, 0o644
    return member


def _parts(text: str) -> tuple[str, str, dict[str, str]]:
    """URI, target and options of an `--input`."""
    fields = next(csv.reader([text]), [])
    if not fields:
        message = f"--input: found nothing, allowed: {INPUT_FORMS}"
        raise UsageError(message)
    uri, target, options = "", "", {}
    for at, part in enumerate(fields):
        name, sign, value = part.partition("=")
        if sign and name in ("source", "src"):
            uri = value
        elif sign and name in ("target", "dst", "destination"):
            target = value
        elif sign and name in ("opt", "option") and "=" in value:
            key, _, option = value.partition("=")
            options[key] = option
        elif at == 0:
            uri, target = _split(part)
        else:
            message = f"--input: found {part!r}, allowed: {INPUT_FORMS}"
            raise UsageError(message)
    if not uri:
        message = f"--input: found {text!r} without a source, allowed: {INPUT_FORMS}"
        raise UsageError(message)
    return uri, target or DEFAULT_TARGET, options


def _split(text: str) -> tuple[str, str]:
    """`URI:dst`: what follows the last colon is the target, if it is an absolute path and no part of the URI."""
    uri, colon, target = text.rpartition(":")
    if colon and uri and target.startswith("/") and not target.startswith("//"):
        return uri, target
    return text, ""


def _absolute(path: str) -> str:
    return str(Path.cwd() / path)


def _truth(word: str) -> bool:
    if word.lower() not in ("true", "false", "1", "0", "t", "f", ""):
        message = f"--input: rw: found {word!r}, allowed: true, false"
        raise UsageError(message)
    return word.lower() in ("true", "1", "t", "")


def result_path(text: str) -> dict[str, str]:
    """A result path of `NAME:PATH`. Raises UsageError."""
    name, colon, path = text.partition(":")
    if not colon or not name or not path.startswith("/"):
        message = f"--output: found {text!r}, allowed: NAME:/ABSOLUTE/PATH"
        raise UsageError(message)
    return {"Name": name, "Path": path}


def publisher(text: str) -> dict[str, Any]:
    """A publisher of `orchestrator`, `local`, `s3managed`, `ipfs` or `s3://bucket/key,opt=region=..`. Raises UsageError."""
    uri, *options = next(csv.reader([text]), [""])
    params: dict[str, str] = {}
    for option in options:
        word, _, rest = option.partition("=")
        key, sign, value = rest.partition("=")
        if word not in ("opt", "option") or not sign:
            message = f"--publisher: found {option!r}, allowed: opt=name=value"
            raise UsageError(message)
        params[key] = value
    parts = urlsplit(uri)
    if parts.scheme == "s3":
        return {"Type": "s3", "Params": {"bucket": parts.netloc, "key": parts.path.lstrip("/"), **params}}
    return {"Type": parts.scheme or uri, **({"Params": params} if params else {})}
