"""A real Prometheus for tests: started on a free loopback port, scraping every second, stopped by its pid."""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import yaml

from floorwatch.embedded.child_process import free_port
from prometheus.alerting_rules import WORKER_JOB
from tests.waits import Stalled, until_plain

_POLL_S = 0.1
_HTTP_TIMEOUT_S = 10


@dataclass(frozen=True, slots=True)
class Sample:
    """One series of an answer: its labels without ``__name__``, and its value."""

    labels: dict[str, str]
    value: float


class PrometheusFault(AssertionError):
    """Prometheus did not do what the test needs; the message holds its log."""


class RealPrometheus:
    """Runs ``prometheus`` for the time of a ``with`` block.

    Example::

        with RealPrometheus(["127.0.0.1:9464"]) as prom:
            prom.wait_scraped()
            assert prom.query("up")[0].value == 1
    """

    def __init__(
        self,
        targets: Sequence[str] | Mapping[str, Sequence[str]],
        *,
        rule_files: Sequence[Path] = (),
        scrape_interval: str = "1s",
    ) -> None:
        """Remember what to scrape.

        Args:
            targets: ``host:port`` of the exporters, or those by job name; without a job they are workers.
            rule_files: Rules to evaluate.
            scrape_interval: Also how often rules are evaluated.
        """
        by_job = targets if isinstance(targets, Mapping) else {WORKER_JOB: targets}
        self._jobs = {job: list(found) for job, found in by_job.items()}
        self._rule_files = [str(path) for path in rule_files]
        self._interval = scrape_interval
        self._folder: Path | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self.url = ""

    def __enter__(self) -> Self:
        """Start it and wait until it answers.

        Raises:
            PrometheusFault: If it ends or never answers; with its log.
        """
        self._folder = Path(tempfile.mkdtemp(prefix="floorwatch-prometheus-"))
        try:
            self._start(self._folder)
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop it and remove its data."""
        self._stop()

    def query(self, expr: str) -> list[Sample]:
        """Return the series of an instant query, as of a moment at which the last scrape of every target went well.

        A scrape that took too long on a busy machine makes every series of its target stale until the next one.

        Raises:
            PrometheusFault: If Prometheus refuses the query, or no scrape goes well.
        """
        found: list[Sample] = []

        def all_up() -> bool:
            (now,) = self._instant("time()")  # of Prometheus: the clock of a test may be shifted
            moment = repr(now.value)
            before = self._instant("min(up)", time=moment)
            found[:] = self._instant(expr, time=moment)
            # Asked again: a scrape that was under way is stored with the time at which it began.
            return all(up.value == 1 for up in [*before, *self._instant("min(up)", time=moment)])

        self.wait_until(all_up, "the last scrape of every target went well")
        return found

    def _instant(self, expr: str, **moment: str) -> list[Sample]:
        data = self._get("/api/v1/query", query=expr, **moment)["data"]
        if data["resultType"] == "scalar":
            return [Sample({}, float(data["result"][1]))]
        return [_sample(found) for found in data["result"]]

    def label_values(self, metric: str, label: str) -> list[str]:
        """Return the values of a label, as the board's variables ask for them."""
        query = urllib.parse.urlencode({"match[]": metric})
        return list(self._get(f"/api/v1/label/{label}/values?{query}")["data"])

    def alerts(self) -> list[dict[str, Any]]:
        """Return the alerts that are pending or firing."""
        return list(self._get("/api/v1/alerts")["data"]["alerts"])

    def targets(self) -> list[dict[str, Any]]:
        """Return the scrape targets with their health and last error."""
        return list(self._get("/api/v1/targets")["data"]["activeTargets"])

    def wait_scraped(self, times: int = 2) -> None:
        """Wait until every target was scraped that often; rates need two.

        Raises:
            PrometheusFault: If that does not come about; with the targets' errors.
        """
        expected = sum(len(found) for found in self._jobs.values())
        expr = f"count(sum_over_time(up[5m]) >= {times})"  # a scrape that failed counts 0

        def scraped() -> bool:
            found = self._instant(expr)
            return bool(found) and found[0].value >= expected

        try:
            self.wait_until(scraped, f"{expected} targets scraped {times} times")
        except PrometheusFault as fault:
            down = [f"{t['scrapeUrl']}: {t['lastError']}" for t in self.targets() if t["health"] != "up"]
            raise PrometheusFault("targets are not scraped: " + "; ".join(down) if down else str(fault)) from fault

    def wait_until(self, holds: Callable[[], bool], what: str) -> None:
        """Poll until something holds; time passes in Prometheus, so there is nothing else to wait on.

        Raises:
            PrometheusFault: If it never holds; with the log.
        """
        try:
            until_plain(holds, what, process=self._process, every_s=_POLL_S)
        except Stalled as stalled:
            raise PrometheusFault(f"{stalled}\nIts log:\n{self.log()}") from stalled

    def log(self) -> str:
        """Return what Prometheus has logged."""
        path = self._log_path()
        return path.read_text(encoding="utf-8", errors="replace") if path and path.is_file() else ""

    def _start(self, folder: Path) -> None:
        config = {
            "global": {
                "scrape_interval": self._interval,
                "scrape_timeout": self._interval,
                "evaluation_interval": self._interval,
            },
            "rule_files": self._rule_files,
            "scrape_configs": [
                {"job_name": job, "static_configs": [{"targets": found}]} for job, found in self._jobs.items()
            ],
        }
        (folder / "prometheus.yml").write_text(yaml.safe_dump(config), encoding="utf-8")
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        command = ["prometheus", f"--config.file={folder / 'prometheus.yml'}", f"--storage.tsdb.path={folder / 'data'}"]
        command += [f"--web.listen-address=127.0.0.1:{port}", "--log.level=warn"]
        with (folder / "log").open("wb") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log, cwd=folder)
        self.wait_until(self._answers, "Prometheus answers on /-/ready")

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/-/ready", timeout=_HTTP_TIMEOUT_S) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, ConnectionError):
            return False

    def _get(self, path: str, **params: str) -> dict[str, Any]:
        url = f"{self.url}{path}" + (f"?{urllib.parse.urlencode(params)}" if params else "")
        try:
            with urllib.request.urlopen(url, timeout=_HTTP_TIMEOUT_S) as answer:
                found: dict[str, Any] = json.load(answer)
        except urllib.error.HTTPError as error:
            raise PrometheusFault(f"{url}: {error.read().decode(errors='replace')}") from error
        return found

    def _log_path(self) -> Path | None:
        return self._folder / "log" if self._folder else None

    def _stop(self) -> None:
        if self._process is not None:
            if self._process.poll() is None:
                self._process.terminate()
            self._process.wait()
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)


def _sample(found: dict[str, Any]) -> Sample:
    labels = {name: value for name, value in found["metric"].items() if name != "__name__"}
    return Sample(labels, float(found["value"][1]))
