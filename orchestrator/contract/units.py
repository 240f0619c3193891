"""Amounts and durations as people write them, to numbers and back: `500m`, `512mb`, `1m30s`."""

import math
import re
from decimal import Decimal

from orchestrator.contract.job import ResourcesConfig
from orchestrator.contract.node import Resources

MAX_SECONDS = 100 * 365 * 86_400
"""A hundred years: no duration is longer, so that a time plus a duration still fits 64 bits of nanoseconds."""
INT64 = 2**63 - 1

_SECONDS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1, "m": 60, "h": 3600, "d": 86_400}
_NUMBER = r"(?:\d{1,15}(?:\.\d{0,9})?|\.\d{1,9})"
_PLAIN = re.compile(rf"[+-]?{_NUMBER}", re.ASCII)
_DURATION = re.compile(rf"[+-]?(?:{_NUMBER}(?:ns|us|µs|ms|s|m|h|d))+", re.ASCII)
_DURATION_PART = re.compile(rf"({_NUMBER})(ns|us|µs|ms|s|m|h|d)", re.ASCII)
_CPU = re.compile(rf"({_NUMBER})(m?)", re.ASCII)
_SIZE = re.compile(r"(\d[\d,]{0,30}(?:\.\d{0,15})?|\.\d{1,15})([a-z]*)", re.ASCII)
_SIZES = {"": 1, "b": 1}
for _power, _letter in enumerate("kmgtpe", start=1):
    _SIZES |= {_letter: 1000**_power, f"{_letter}b": 1000**_power}
    _SIZES |= {f"{_letter}i": 1024**_power, f"{_letter}ib": 1024**_power}
_MAX_CORES = 1_000_000
_MAX_GPUS = 1_000_000


def duration(value: object) -> float:
    """Seconds of `1m30s`, `"90"`, `90` or `1.5`. May be negative.

    Raises ValueError for anything else, and for more than a hundred years.
    """
    match value:
        case bool():
            seconds = math.nan
        case int() | float():
            seconds = value if abs(value) <= MAX_SECONDS else math.nan
        case str() if _PLAIN.fullmatch(value):
            seconds = float(value)
        case str() if _DURATION.fullmatch(value):
            total = sum(float(number) * _SECONDS[unit] for number, unit in _DURATION_PART.findall(value))
            seconds = -total if value.startswith("-") else total
        case _:
            seconds = math.nan
    if not abs(seconds) <= MAX_SECONDS:
        message = f"{value!r} is no duration: write seconds (90) or like 1m30s, at most a hundred years"
        raise ValueError(message)
    return seconds


def format_duration(seconds: float) -> str:
    """The text of a duration as Go prints it: `1m0s`, `1h0m0s`, `1.5s`, `500ms`, `0s`."""
    sign, seconds = ("-", -seconds) if seconds < 0 else ("", seconds)
    if 0 < seconds < 1:
        return f"{sign}{_trimmed(seconds * 1000)}ms"
    hours, rest = divmod(seconds, 3600)
    minutes, rest = divmod(rest, 60)
    text = f"{_trimmed(rest)}s"
    if hours or minutes:
        text = f"{int(minutes)}m{text}"
    if hours:
        text = f"{int(hours)}h{text}"
    return sign + text


def _trimmed(number: float) -> str:
    return f"{number:.6f}".rstrip("0").rstrip(".")


def squeezed(text: str) -> str:
    """An amount as it is kept: lower case, without blanks."""
    return "".join(text.split()).lower()


def parse_cpu(text: str) -> float:
    """Cores of `0.5`, `500m` or `2`, rounded up to a millicore; empty = 0. Raises ValueError."""
    amount = squeezed(text)
    if not amount:
        return 0.0
    match = _CPU.fullmatch(amount)
    millicores = Decimal(match[1]) * (1 if match[2] else 1000) if match else Decimal(-1)
    if not 0 <= millicores <= _MAX_CORES * 1000:
        message = f"invalid CPU value: {text}"
        raise ValueError(message)
    return math.ceil(millicores) / 1000


def parse_size(text: str) -> int:
    """Bytes of `512mb`, `1gib`, `1,000` or `1.5g`; without `i` powers of 1000; empty = 0. Raises ValueError."""
    amount = squeezed(text)
    if not amount:
        return 0
    match = _SIZE.fullmatch(amount)
    unit = _SIZES.get(match[2]) if match else None
    size = int(Decimal(match[1].replace(",", "")) * unit) if match and unit else -1
    if not 0 <= size <= INT64:
        message = f"invalid size: {text}"
        raise ValueError(message)
    return size


def parse_gpu(text: str) -> int:
    """A number of GPUs; empty = 0. Raises ValueError."""
    amount = squeezed(text)
    if not amount:
        return 0
    if not re.fullmatch(r"\d{1,7}", amount, re.ASCII) or int(amount) > _MAX_GPUS:
        message = f"invalid GPU value: {text}"
        raise ValueError(message)
    return int(amount)


def resources(config: ResourcesConfig) -> Resources:
    """What a task asks for, as numbers. Raises ValueError for text that is no amount."""
    return Resources(
        cpu=parse_cpu(config.cpu),
        memory=parse_size(config.memory),
        disk=parse_size(config.disk),
        gpu=parse_gpu(config.gpu),
    )


_BOOLS = dict.fromkeys(("1", "t", "T", "TRUE", "true", "True"), True)
_BOOLS |= dict.fromkeys(("0", "f", "F", "FALSE", "false", "False"), False)


def go_bool(text: str) -> bool:
    """The words that Go takes for a boolean: `1 t true TRUE True 0 f false FALSE False`. Raises ValueError."""
    found = _BOOLS.get(text)
    if found is None:
        message = f"{text!r} is neither true nor false"
        raise ValueError(message)
    return found
