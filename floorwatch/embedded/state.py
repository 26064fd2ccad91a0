"""What is known about the stack of one ``var`` folder: the lock, the state file, orphans of a killed supervisor."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import secrets
import signal
import stat
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from floorwatch.sdk.stacks import STATE_FILE, StackState, is_alive, read_state

_ORPHAN_WAIT_S = 10.0


class AlreadyRunning(Exception):
    """Another supervisor holds this folder. Operator: stop it, or give this one another folder."""


@dataclass(frozen=True)
class Paths:
    """Where the stack keeps its things below one folder."""

    var: Path

    @property
    def run(self) -> Path:
        """Lock, state and progress: only of use while the stack runs."""
        return self.var / "run"

    @property
    def state(self) -> Path:
        """The state file that other commands find the stack by."""
        return self.var / STATE_FILE

    @property
    def lock(self) -> Path:
        """Held by the running supervisor."""
        return self.run / "lock"

    @property
    def progress(self) -> Path:
        """How far the shipper has come."""
        return self.run / "shipper.json"

    @property
    def redis_password(self) -> Path:
        """File whose content is the password of the embedded Redis; only its owner can read it."""
        return self.run / "redis.password"

    @property
    def link_keys(self) -> Path:
        """File whose content signs the links of messages where the configuration has no key; only its owner can read it."""
        return self.run / "link.keys"

    @property
    def journal(self) -> Path:
        """Everything accepted. Only this cannot be made again."""
        return self.var / "journal"

    @property
    def alerts(self) -> Path:
        """Incidents, and who was told of them, as the workers have them: a new broker begins with these."""
        return self.var / "alerts"

    @property
    def valkey(self) -> Path:
        """Valkey's append-only file."""
        return self.var / "valkey"

    @property
    def log(self) -> Path:
        """One log a process."""
        return self.var / "log"


def make_private(paths: Paths) -> int:
    """Remove the rights of group and others from the stack's files and folders. Returns how many were changed.

    Only the owner may read events, Redis's copy of tables and people's names in logs. Files of another user, and other
    files in the folder, are left as they are.
    """
    changed = 0
    for path in open_to_others(paths):
        with contextlib.suppress(FileNotFoundError, PermissionError):
            path.chmod(stat.S_IMODE(path.lstat().st_mode) & ~0o077)
            changed += 1
    return changed


def open_to_others(paths: Paths) -> list[Path]:
    """Return the files and folders of the stack to which group or others have rights."""
    own = [paths.run, paths.journal, paths.alerts, paths.valkey, paths.log, paths.var / "spool"]
    found = []
    for path in [path for folder in own if folder.is_dir() for path in (folder, *folder.rglob("*"))]:
        with contextlib.suppress(FileNotFoundError):
            mode = path.lstat().st_mode
            if not stat.S_ISLNK(mode) and mode & 0o077:
                found.append(path)
    return found


def redis_password(paths: Paths) -> str:
    """Return the password of the embedded Redis, made once for a folder."""
    return _made_once(paths.redis_password)


def link_key(paths: Paths) -> str:
    """Return the key that signs links of messages, made once for a folder: links of before a restart stay good."""
    return _made_once(paths.link_keys)


def _made_once(file: Path) -> str:
    with contextlib.suppress(FileNotFoundError):
        if known := file.read_text(encoding="ascii").strip():
            return known
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    made = secrets.token_urlsafe(24)
    replace_private(file, made + "\n")
    return made


def replace_private(path: Path, text: str) -> None:
    """Replace a file in one step by one that only its owner can read.

    Raises:
        OSError: It cannot be written; the file is as it was.
    """
    temporary = path.with_suffix(".tmp")
    temporary.unlink(missing_ok=True)
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(fd, "w", encoding="utf-8") as out:
        out.write(text)
    temporary.replace(path)


def write_state(paths: Paths, state: StackState) -> None:
    """Replace the state file in one step."""
    data = asdict(state)
    data["pids"] = {"supervisor": state.supervisor.pid, **{name: mark.pid for name, mark in state.children.items()}}
    # For readers that need no more than where to connect.
    data["brokers"], data["redis_url"] = state.urls["kafka"], state.urls["redis"]
    replace_private(paths.state, json.dumps(data, indent=2) + "\n")


def environment_of(state: StackState, env: Mapping[str, str]) -> dict[str, str]:
    """Return an environment in which the configuration points at a stack, unless it already points elsewhere.

    Args:
        state: The running stack.
        env: The environment, whose own settings win.

    Example:
        ``floorwatch.settings.load(path, environment_of(state, os.environ))``
    """
    found = {
        "FLOORWATCH_KAFKA__BROKERS": state.urls["kafka"],
        "FLOORWATCH_KAFKA__IDEMPOTENT_PRODUCER": "false",  # Tansu has no InitProducerId
        "FLOORWATCH_KAFKA__REBALANCE_TIMEOUT_S": "3",  # Tansu's first member waits all of it
        "FLOORWATCH_KAFKA__TRUST_RECORD_TIME": "true",  # of the shipper's records; Tansu stamps none
        "FLOORWATCH_KAFKA__TOPIC_PREFIX": state.topic_prefix,
        "FLOORWATCH_KAFKA__PARTITIONS": str(state.partitions),
        "FLOORWATCH_REDIS__URL": state.urls["redis"],
    }
    if state.redis_prefix:
        found["FLOORWATCH_REDIS__PREFIX"] = state.redis_prefix
    if state.redis_password_file and not env.get("FLOORWATCH_REDIS__URL"):
        found["FLOORWATCH_REDIS__PASSWORD_FILE"] = state.redis_password_file
    return {**found, **{name: value for name, value in env.items() if value}}


class StackLock:
    """The lock to run a stack on a folder. The system releases it when the process ends in any way."""

    def __init__(self, paths: Paths) -> None:
        """Name the folder; nothing is locked yet."""
        self._paths = paths
        self._fd: int | None = None

    @property
    def held(self) -> bool:
        """Whether this object has the lock."""
        return self._fd is not None

    def acquire(self) -> None:
        """Take the lock.

        Raises:
            AlreadyRunning: Another process has it.
        """
        for folder in (self._paths.var, self._paths.run):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        fd = os.open(self._paths.lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            holder = os.pread(fd, 32, 0).decode(errors="replace").strip() or "unknown"
            os.close(fd)
            raise AlreadyRunning(
                f"a stack already runs on {self._paths.var} (process {holder}); stop it, or give another with --var"
            ) from error
        os.ftruncate(fd, 0)
        os.pwrite(fd, f"{os.getpid()}\n".encode(), 0)
        self._fd = fd

    def release(self) -> None:
        """Give the lock back."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None


def end_orphans(paths: Paths) -> list[str]:
    """Kill what a killed supervisor left running. Call with the lock held.

    Returns:
        Names of the processes that were still there.

    Raises:
        TimeoutError: One would not go away.
    """
    state = read_state(paths.var)
    if state is None:
        return []
    left = {name: mark for name, mark in state.children.items() if is_alive(mark)}
    for mark in left.values():
        try:
            os.kill(mark.pid, signal.SIGKILL)
        except ProcessLookupError:
            continue
    until_s = time.monotonic() + _ORPHAN_WAIT_S
    while waiting := [f"{name} ({mark.pid})" for name, mark in left.items() if is_alive(mark)]:
        if time.monotonic() > until_s:
            raise TimeoutError(f"left over from an earlier run and not to be ended: {', '.join(waiting)}; kill them")
        time.sleep(0.02)
    return list(left)
