"""A new user's walk: a fresh clone, README's own blocks in their order, and what each must show.

The blocks and commands are read out of README. One that is added, removed or moved there fails here until it is expected here.
"""

from __future__ import annotations

import contextlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import sysconfig
import time
import urllib.request
from pathlib import Path

import pytest

from floorwatch import sdk
from streams.models.events import encode_event
from tests.support import missing

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text()
PATIENCE_S = 120.0
RECEIVER_PORT = 8099

STEPS: dict[str, tuple[str, ...]] = {
    "make demo SECONDS=60": (
        r"The floor's time runs \d+ times as fast as the clock",
        r"accuracy · last 1h",
        r"throughput · last 1h",
        r"sla · last 1h",
        r"\[(page|warn)\] bpo-a: accuracy [\d.]+% \(target 95%\)",
        r"This was the demonstration; it stops now",
        r"\.venv/bin/floorwatch up",
        r"To type just floorwatch: source \S+/\.venv/bin/activate",
    ),
    "source .venv/bin/activate": (),
    "floorwatch up": (
        r"Floorwatch is up on /\S+/var, which holds no events yet\. Ctrl-C stops it\.",
        r"In another terminal: floorwatch table accuracy --by vendor",
    ),
    "send.py": (),
    "python send.py": (r"^2 events sent$",),
    "floorwatch table accuracy --by vendor --window 1h --wait 60": (
        r"bpo-a │ +0\.0% │ 0\.0% – 96\.2% │ +1 │ +1 │ +1 │",
    ),
    "floorwatch facts t-1": (r"label l-1: hate, took 40 s, vendor=bpo-a", r"audit a-1 of label l-1: incorrect"),
    "floorwatch.yaml": (),
    "floorwatch config check floorwatch.yaml": (r"floorwatch\.yaml: the configuration is valid",),
    "floorwatch up --config floorwatch.yaml": (
        r"Floorwatch is up on /\S+/var, which holds \d\S* (bytes|KiB) of events accepted since",
    ),
    "receiver.py": (),
    "python receiver.py": (),
    "drop.py": (),
    "floorwatch notifications test ops": (r"^channel ops took a test message$",),
    "python drop.py": (r"^240 events sent$",),
    "floorwatch incidents": (r"page .*Accuracy below target: vendor bpo-b .*open .*ops",),
}
"""Each line of README's blocks until "What it promises", and each file it saves, with what must be shown."""

RUNG = r"(?m)^Test: .*\n(.*\n)*bpo-b: accuracy [\d.]+% \(target 95%\), .* wrong, since .*\n"
"""What the receiver of the walk has printed in the end."""

ASKED: dict[str, tuple[int | tuple[int, ...], str]] = {
    "floorwatch explain accuracy --scope vendor=bpo-a --window 24h --against 7d": (0, r"no audits before the window"),
    "floorwatch forecast": (0, r"comments"),
    "floorwatch whatif --from QUEUE --to QUEUE --people 2": (
        (0, 1),  # the pace is known once the minute of the labels is over
        r"no breach in sight with 2 people moved|the pace of queue comments is not known yet",
    ),
    "floorwatch why accuracy --scope vendor=bpo-a --window 24h": (0, r"t-1 .*incorrect"),
    "floorwatch facts TASK": (0, r"task t-1"),
    "floorwatch table sla --by vendor --as-of 2026-11-23T18:00:00Z --diff": (0, r"Replayed 0 records"),
    "floorwatch quality": (0, r"121 labels, 121 of them audited"),
    "floorwatch audits plan": (2, r"No label approves its item"),
    "floorwatch audits size": (0, r"581 random audits"),
    "floorwatch audits aql --lot 1200": (0, r"code letter J"),
    "floorwatch people": (0, r"41 people"),
    "floorwatch scorecard LABELER": (0, r"ana · bpo-a"),
    "floorwatch incidents": (0, r"Accuracy below target: vendor bpo-b"),
    "floorwatch ack KEY --by ana": (2, r"no incident begins with 0123456789ab"),
    "floorwatch silence KEY --by ana --for 2h": (2, r"no incident begins with 0123456789ab"),
    "floorwatch maintenance add --match vendor=bpo-a --for 2h": (0, r"maintenance m-\w+ \(vendor=bpo-a\) is on, until"),
    "floorwatch maintenance list": (0, r"on .*vendor=bpo-a"),
    "floorwatch oncall now": (2, r"there are no schedules; write alerts.schedules"),
    "floorwatch rules route --scope vendor=bpo-a --kind accuracy_low": (
        0,
        r"route default: ",
    ),
    "floorwatch alerts quality": (0, r"rule +incidents +marked"),
    "floorwatch roster --by site": (0, r"Roster of"),
    "floorwatch notifications test ops": (0, r"channel ops took a test message"),
    "floorwatch check-events FILE": (0, r"2 good events of 1 task,.*\n(.*\n)*.* 0 faults"),
    "floorwatch process FILE --dump OUT/": (0, r""),
    "floorwatch doctor": (0, r"embedded stack: runs on (.*\n)*all \d+ checks passed"),
    "floorwatch config init": (0, r"wrote floorwatch\.yaml"),
    "floorwatch rescale": (0, r"→ 2 workers, 4 partitions"),
}
"""Each command in the tables and lists of README, with its exit code and what must be shown of the events sent."""

ELSEWHERE = {"up", "verify --seed 7 --days 2", "topics create", "worker", "gateway"}
"""Named in README's sentences and tried in other tests, for they run for long or need a Kafka: tests/stack, tests/kafka."""

WORDS = {
    "TASK": "t-1",
    "LABELER": "ana",
    "KEY": "0123456789ab",
    "QUEUE": "comments",
    "FILE": "events.jsonl",
    "OUT/": "out/",
}


def blocks() -> list[tuple[str, str, str]]:
    """Return (text before, language, content) of each block before the promises."""
    start = README[: README.index("## What it promises")]
    parts = re.split(r"```(\w*)\n(.*?)```\n", start, flags=re.DOTALL)
    return [(parts[i], parts[i + 1], parts[i + 2]) for i in range(0, len(parts) - 2, 3)]


def walk() -> list[tuple[str, str]]:
    """Return README's steps in order: (line, "") for a command, (name, content) for a file to save."""
    found: list[tuple[str, str]] = []
    for before, language, content in blocks():
        if language == "sh":
            found += [(line, "") for line in content.strip().splitlines()]
        else:
            found.append((re.findall(r"save this as `([\w.]+)`", before, re.IGNORECASE)[-1], content))
    return found


PASTED = next(content.strip().splitlines() for _, _, content in blocks() if content.startswith("python send.py"))
"""The block that sends an event and shows it."""


def asked() -> list[str]:
    """Return the commands in README's tables and lists, in order and once."""
    rest = README[README.index("## Ask it") : README.index("## Develop")]
    return list(dict.fromkeys(re.findall(r"`(floorwatch [a-z][^`]*)`", rest)))


def test_every_step_of_readme_is_expected_and_every_expected_one_is_there() -> None:
    assert [name for name, _ in walk()] == list(STEPS)


def test_every_command_of_readme_is_expected() -> None:
    wanted = [command for command in asked() if command.removeprefix("floorwatch ") not in ELSEWHERE]
    assert wanted == list(ASKED)
    start = README[: README.index("## Ask it")]
    named = set(re.findall(r"`floorwatch ([a-z][^`]*)`", start))
    assert named <= ELSEWHERE, named - ELSEWHERE


class Person:
    """Somebody who has never seen the project: a clone, a home of their own, and shells."""

    def __init__(self, folder: Path) -> None:
        self.clone, self.home = folder / "floorwatch", folder / "home"
        self.home.mkdir()
        self.env = {
            "HOME": str(self.home),
            "PATH": "/usr/local/bin:/usr/bin:/bin",
            "LANG": "C.UTF-8",
            "TMPDIR": str(folder),
            "PYTHON": sys.executable,
        }
        self.activated = ""

    def shell(self, line: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
        """Run a line as it would be typed, and return what was shown."""
        return subprocess.run(
            ["bash", "-c", f"{self.activated}{line}"],
            cwd=cwd or self.clone,
            env=self.env,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            check=False,
        )

    def shown(self, line: str, wanted: tuple[str, ...], cwd: Path | None = None) -> None:
        """Run a line until it shows what is wanted: an event takes a moment to its table."""
        until_s = time.monotonic() + PATIENCE_S
        while True:
            done = self.shell(line, cwd)
            missing = [one for one in wanted if not re.search(one, done.stdout, re.MULTILINE)]
            if done.returncode == 0 and not missing:
                return
            if time.monotonic() > until_s or line.startswith("make"):
                pytest.fail(f"{line}: exit {done.returncode}, without {missing}:\n{done.stdout}")
            time.sleep(1)


@pytest.fixture(scope="module")
def person(tmp_path_factory: pytest.TempPathFactory) -> Person:
    """A fresh clone with what is not committed yet, and a virtualenv that has the packages of this one but not its project."""
    if shutil.which("git") is None or not (ROOT / ".git").exists():
        missing("there is no git, or this is not a clone")
    folder = tmp_path_factory.mktemp("first-run")
    made = Person(folder)
    subprocess.run(["git", "clone", "-q", str(ROOT), str(made.clone)], check=True)
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    for name in listed.stdout.splitlines():
        if (ROOT / name).is_file():
            (made.clone / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, made.clone / name)
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(made.clone / ".venv")], check=True)
    packages = folder / "packages"
    packages.mkdir()
    for package in Path(sysconfig.get_paths()["purelib"]).iterdir():
        if "floorwatch" not in package.name:
            (packages / package.name).symlink_to(package)
    (site,) = made.clone.glob(".venv/lib/python*/site-packages")
    (site / "packages.pth").write_text(f"{packages}\n")
    return made


@pytest.mark.slow
@pytest.mark.servers
@pytest.mark.timeout(900)
def test_the_walk(person: Person) -> None:
    running: list[subprocess.Popen[str]] = []
    logs = {name: person.clone.parent / f"{name}.log" for name in ("up", "receiver")}
    try:
        for name, content in walk():
            wanted = STEPS[name]
            if content:
                (person.clone / name).write_text(content)
            elif name.startswith("source "):
                person.activated = f"{name} && "
            elif name == PASTED[0]:
                paste(person)
            elif name in PASTED:
                continue
            elif name.startswith("floorwatch up"):
                if running:
                    stop(running.pop(), logs["up"])
                running.append(start(person, name, logs["up"]))
                wait_for(running[0], logs["up"], wanted)
            elif name == "python receiver.py":
                running.append(start(person, name, logs["receiver"]))
                wait_for_port(running[1], logs["receiver"])
            else:
                person.shown(name, wanted)
        wait_for(running[1], logs["receiver"], (RUNG,))
        acknowledge(person, logs["receiver"].read_text())
        ask(person)
    finally:
        for process in running[1:]:
            process.kill()
            process.wait()
        if running:
            stop(running[0], logs["up"])


def acknowledge(person: Person, printed: str) -> None:
    """Open the link that the receiver printed, press the button, and look at the incident."""
    link = re.findall(r"(?m)^bpo-b: accuracy .*\n(http://127\.0\.0\.1:\d+/a/\S+)$", printed)[-1]
    with urllib.request.urlopen(link) as page:
        assert "Yes, I have it" in page.read().decode()
    with urllib.request.urlopen(link, data=b"by=Mei") as page:
        assert "Acknowledged" in page.read().decode()
    person.shown("floorwatch incidents", (r"acknowledged",))


def stop(up: subprocess.Popen[str], log: Path) -> None:
    """Press Ctrl-C."""
    up.send_signal(signal.SIGINT)
    assert up.wait(60) == 0, log.read_text()


def paste(person: Person) -> None:
    """Run a block as it is pasted: at once, and each line only once."""
    done = person.shell(f"{{ {'; '.join(PASTED)}; }}")
    missing = [one for line in PASTED for one in STEPS[line] if not re.search(one, done.stdout, re.MULTILINE)]
    assert not missing, done.stdout


def start(person: Person, line: str, log: Path) -> subprocess.Popen[str]:
    """Run a line in a terminal of its own, as its process."""
    with log.open("w") as out:
        return subprocess.Popen(
            ["bash", "-c", f"{person.activated}exec {line}"],
            cwd=person.clone,
            env=person.env,
            text=True,
            stdout=out,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
        )


def wait_for(process: subprocess.Popen[str], log: Path, wanted: tuple[str, ...]) -> None:
    until_s = time.monotonic() + PATIENCE_S
    while not all(re.search(one, log.read_text()) for one in wanted):
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < until_s, log.read_text()
        time.sleep(0.2)


def wait_for_port(process: subprocess.Popen[str], log: Path) -> None:
    """Wait until the receiver listens."""
    until_s = time.monotonic() + PATIENCE_S
    while True:
        assert process.poll() is None, log.read_text()
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", RECEIVER_PORT), timeout=1):
            return
        assert time.monotonic() < until_s
        time.sleep(0.2)


def ask(person: Person) -> None:
    """Ask README's questions from a folder that is not the clone's."""
    folder = person.clone.parent / "elsewhere"
    folder.mkdir()
    (folder / "events.jsonl").write_bytes(b"".join(encode_event(one) + b"\n" for one in snippet_events()))
    person.activated = person.activated.replace("source ", f"source {person.clone}/")
    wrong = []
    for line, (code, wanted) in ASKED.items():
        codes = (
            code if isinstance(code, tuple) else (code,)
        )  # what there is to move depends on how long ago the label was sent
        typed = re.sub("|".join(map(re.escape, WORDS)), lambda found: WORDS[found[0]], line)
        for _ in range(5):  # beside other tests a stack may need a moment
            done = person.shell(typed, folder)
            if done.returncode in codes and re.search(wanted, done.stdout):
                break
            time.sleep(2)
        if done.returncode not in codes or not re.search(wanted, done.stdout) or "Traceback" in done.stdout:
            wrong.append(f"$ {typed}   (exit {done.returncode}, not {codes} with {wanted!r})\n{done.stdout}")
    assert not wrong, "\n".join(wrong)


def snippet_events() -> list[sdk.Event]:
    """Return the events of README's program."""
    sent: list[sdk.Event] = []
    (program,) = [content for name, content in walk() if name == "send.py"]
    patch = pytest.MonkeyPatch()
    with patch.context() as patched:
        patched.setattr(sdk, "emit", sent.extend)
        exec(compile(program, "send.py", "exec"), {})
    return sent
