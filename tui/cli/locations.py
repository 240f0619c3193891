"""Where input comes from and results go, as `docker run` takes it: `--input`, `--output`, `--publisher`."""

import csv
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from tui.cli.diagnostics import UsageError

DEFAULT_TARGET = "/inputs"
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
