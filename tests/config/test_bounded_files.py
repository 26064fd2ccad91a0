"""What a configuration, or a secret's file, may be at most: whatever path is named, the answer comes and says why."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from config import files, nodes
from config.errors import ConfigErrors
from config.files import FileFault, read_bytes, read_secret
from floorwatch.settings.load import MAX_FAULTS, MAX_FILE_BYTES, load, loads


def said(text: str) -> str:
    with pytest.raises(ConfigErrors) as caught:
        loads(text, {}, name="test.yaml", base=Path())
    return str(caught.value)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("kafka: " + "[" * 5000, "nested deeper than 32 levels"),
        ("kafka: " + "{a: " * 5000, "nested deeper than 32 levels"),
        ("\n".join(" " * level + "k:" for level in range(600)), "nested deeper than 32 levels"),
        ("- " * 3000, "nested deeper than 32 levels"),
    ],
)
def test_nesting_is_bounded(text: str, reason: str) -> None:
    assert reason in said(text)


def test_what_aliases_repeat_is_bounded_and_told_once() -> None:
    """Nine times nine times nine …: few lines, millions of values."""
    lines = ["a: &a [x, x, x, x, x, x, x, x, x]"]
    for before, name in zip("abcdef", "bcdefg", strict=True):
        lines.append(f"{name}: &{name} [{', '.join([f'*{before}'] * 9)}]")
    found = said("\n".join(lines))
    assert found.count("repeated beyond reason") == 1
    assert "1 fault in" in found


def test_mappings_repeat_no_more_than_lists() -> None:
    lines = ["a: &a {x: 1, y: 1, z: 1}"]
    for before, name in zip("abcdefghi", "bcdefghij", strict=True):
        lines.append(f"{name}: &{name} {{x: *{before}, y: *{before}, z: *{before}}}")
    assert said("\n".join(lines)).count("repeated beyond reason") == 1


def test_few_aliases_are_what_they_say() -> None:
    text = "gateway: {sources: {a: &s {token: 0123456789ab, event_sources: [a/]}}}\ntables: {scopes: &x [[]]}\nmetrics: {scopes: *x}"
    assert loads(text, {}, name="t", base=Path()).metrics.scopes == [()]


def test_the_number_of_values_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nodes, "MAX_NODES", 1000)
    assert "more than 1,000 values" in said("x: [" + ", ".join(["1"] * 1001) + "]")


def test_faults_are_shown_up_to_a_number_and_the_rest_is_counted() -> None:
    for text in ("\n".join(f"k{at}: abc" for at in range(900)), "kafka:\n" + "  group: abc\n" * 901):
        found = said(text)
        assert f"{900 - MAX_FAULTS} further faults are not shown" in found
        assert len(found) < 400 * MAX_FAULTS


@pytest.mark.slow
def test_of_a_long_line_only_the_part_at_fault_is_shown() -> None:
    found = said("kafka: {" + ", ".join(f"k{at}: abc" for at in range(1500)) + "}")
    assert max(map(len, found.splitlines())) < 500
    source, caret = next(
        (line, below) for line, below in zip(found.splitlines(), found.splitlines()[1:], strict=False) if "^" in below
    )
    assert source[caret.index("^")] == "k"


@pytest.fixture(params=["device", "folder", "pipe", "large", "missing", "socket"])
def odd_path(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, str]:
    """A path that is not a small file, and what is said of it."""
    where = tmp_path / "odd"
    if request.param == "device":
        return Path("/dev/zero"), "larger than"
    if request.param == "folder":
        return tmp_path, "it is a folder"
    if request.param == "pipe":
        os.mkfifo(where)
        monkeypatch.setattr(files, "PIPE_WAIT_S", 0.05)
        return where, "nothing came for"
    if request.param == "large":
        with where.open("wb") as out:
            out.truncate(1 << 40)
        return where, "larger than"
    if request.param == "socket":
        import socket

        with socket.socket(socket.AF_UNIX) as bound:
            bound.bind(str(where))
        return where, "cannot be read"
    return where, "no such file"


def test_a_configuration_is_a_small_file(odd_path: tuple[Path, str]) -> None:
    with pytest.raises(ConfigErrors, match=odd_path[1]):
        load(odd_path[0], {})


def test_a_secret_is_a_small_file(odd_path: tuple[Path, str]) -> None:
    with pytest.raises(ConfigErrors) as caught:
        loads("", {"FLOORWATCH_REDIS__PASSWORD_FILE": str(odd_path[0])}, name="t", base=Path())
    assert odd_path[1] in str(caught.value)
    assert str(odd_path[0]) in str(caught.value)


def test_a_shells_pipe_is_read_to_its_end_whatever_its_pace(tmp_path: Path) -> None:
    import threading

    where = tmp_path / "pipe"
    os.mkfifo(where)

    def write() -> None:
        with where.open("w") as out:
            for part in ("redis:", "\n  prefix: ", "'x:'\n"):
                out.write(part)
                out.flush()

    writer = threading.Thread(target=write)
    writer.start()
    try:
        assert load(where, {}).redis.prefix == "x:"
    finally:
        writer.join()


@pytest.mark.slow
def test_the_bounds_are_exact(tmp_path: Path) -> None:
    where = tmp_path / "file"
    where.write_bytes(b"x" * files.MAX_SECRET_BYTES)
    assert len(read_secret(where)) == files.MAX_SECRET_BYTES
    where.write_bytes(b"x" * (files.MAX_SECRET_BYTES + 1))
    with pytest.raises(FileFault, match="larger than 64 KiB"):
        read_secret(where)
    where.write_bytes(b"#" * MAX_FILE_BYTES)
    assert len(read_bytes(where, MAX_FILE_BYTES)) == MAX_FILE_BYTES
    load(where, {})


@pytest.mark.parametrize(
    "text", ["[" * 50_000, '{"a":' * 50_000, "[" + "9" * 5000 + "]", "[1e", '[{"topic": ' + "[" * 50_000]
)
def test_json_in_a_variable_is_bounded_too(text: str) -> None:
    for variable in ("FLOORWATCH_TABLES__SCOPES", "FLOORWATCH_GATEWAY__SOURCES", "FLOORWATCH_KAFKA__RAW_TOPICS"):
        with pytest.raises(ConfigErrors) as caught:
            loads("", {variable: text}, name="t", base=Path())
        assert variable in str(caught.value)
        assert len(str(caught.value)) < 2000
