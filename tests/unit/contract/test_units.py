"""Amounts and durations as people write them."""

import math

import pytest

from orchestrator.contract.decode import duration, go_bool, parse_cpu, parse_gpu, parse_size, resources
from orchestrator.contract.job import ResourcesConfig
from orchestrator.contract.node import Resources
from orchestrator.contract.units import format_duration


@pytest.mark.parametrize(
    ("written", "seconds"),
    [
        (90, 90),
        (1.5, 1.5),
        ("90", 90),
        ("1.5", 1.5),
        ("1m30s", 90),
        ("1h", 3600),
        ("1h0.5s", 3600.5),
        ("250ms", 0.25),
        ("30d", 2_592_000),
        ("-5s", -5),
        ("0", 0),
    ],
)
def test_duration_in_seconds(written: object, seconds: float) -> None:
    assert duration(written) == pytest.approx(seconds)


@pytest.mark.parametrize(
    "written", ["", "x", "5q", "1m 30s", "1e5", "٣s", True, None, [], math.nan, math.inf, 10**30, "9" * 15, "101000d"]
)
def test_what_is_no_duration_is_refused(written: object) -> None:
    with pytest.raises(ValueError, match="no duration"):
        duration(written)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0s"), (60, "1m0s"), (3600, "1h0m0s"), (0.5, "500ms"), (1.5, "1.5s"), (-5, "-5s"), (90_061, "25h1m1s")],
)
def test_duration_is_printed_as_go_does(seconds: float, text: str) -> None:
    assert format_duration(seconds) == text


@pytest.mark.parametrize(
    ("text", "cores"),
    [("", 0), ("2", 2), ("0.5", 0.5), (".5", 0.5), ("500m", 0.5), (" 1 500 M ", 1.5), ("0.0001", 0.001)],
)
def test_cpu_in_cores(text: str, cores: float) -> None:
    assert parse_cpu(text) == cores


@pytest.mark.parametrize("text", ["lots", "-1", "1k", "1e3", "m", "2000000", "9" * 400])
def test_what_is_no_cpu_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="invalid CPU value"):
        parse_cpu(text)


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("", 0),
        ("512", 512),
        ("512b", 512),
        ("512mb", 512_000_000),
        ("512Mb", 512_000_000),
        ("1 GiB", 2**30),
        ("1gi", 2**30),
        ("1.5k", 1500),
        ("1,000", 1000),
        ("2tb", 2 * 10**12),
        ("1eib", 2**60),
    ],
)
def test_size_in_bytes(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["x", "-1", "1zb", "1 2 x", "mb", "9eib", "1.2.3", "9" * 40])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="invalid size"):
        parse_size(text)


@pytest.mark.parametrize("text", ["1.5", "-1", "x", "9999999"])
def test_what_is_no_number_of_gpus_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="invalid GPU value"):
        parse_gpu(text)


def test_resources_as_numbers() -> None:
    config = ResourcesConfig(cpu="500m", memory="512mb", disk="1gib", gpu="2")

    assert resources(config) == Resources(cpu=0.5, memory=512_000_000, disk=2**30, gpu=2)


@pytest.mark.parametrize(("word", "value"), [("1", True), ("T", True), ("true", True), ("0", False), ("False", False)])
def test_go_words_for_booleans(word: str, *, value: bool) -> None:
    assert go_bool(word) is value


@pytest.mark.parametrize("word", ["yes", "tRUE", "", "2"])
def test_other_words_are_no_booleans(word: str) -> None:
    with pytest.raises(ValueError, match="neither true nor false"):
        go_bool(word)
