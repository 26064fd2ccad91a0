"""What a kind of alert is: its rule, its evaluator from tables to findings, its headline and its detector."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple, Protocol, get_args

from msgspec import Struct, field

from alerts.baseline import BaselineState
from alerts.incident import Incident
from alerts.kinds.words import Phrase
from alerts.rules import Rule
from alerts.signals import AuditSuggestion, Contributor
from alerts.view import RowView
from streams.core.detectors.bets import ShareBets
from streams.core.detectors.dispersion import NANO
from streams.core.detectors.packed import MOST_NANO
from streams.core.detectors.watch import Measure
from streams.core.formatting import plural
from streams.core.records import told
from streams.core.window_names import CALENDAR_WINDOWS


class ScopeFault(NamedTuple):
    """A scope of a rule that could not be judged.

    Attributes:
        rule: Name of the rule.
        scope_key: The scope whose row raised; empty for the whole rule.
        error: What it raised.
        silent: The rule selects the scope and has no signal of it. Otherwise only something beside a signal is missing, as a cause.
    """

    rule: str
    scope_key: str
    error: Exception
    silent: bool = False

    @property
    def reason(self) -> str:
        """The error in one line."""
        return told(self.error)


Faults = dict[tuple[str, str], ScopeFault]
"""Faults by rule and scope key: the first of each."""


class RuleContext(Struct, frozen=True):
    """What a rule may look at: tables, the watermark in ms, the trailing baseline. No clock.

    Attributes:
        view: The tables.
        watermark_ms: Their watermark.
        baseline: What is usual.
        faults: Takes the scopes that could not be judged; None where the first of them is to be raised.
    """

    view: RowView
    watermark_ms: int
    baseline: BaselineState
    faults: Faults | None = None

    def set_aside(self, rule: str, scope_key: str, error: Exception) -> None:
        """Note that a scope of a rule could not be judged; each once.

        Raises:
            Exception: ``error``, where nobody takes the faults.
        """
        if self.faults is None:
            raise error
        self.faults.setdefault((rule, scope_key), ScopeFault(rule, scope_key, error))


class Finding(Struct, frozen=True):
    """What an evaluator says of one scope; ``evaluate`` makes a Signal of it."""

    scope: dict[str, str]
    scope_key: str
    firing: bool
    value: float | None
    target: float
    evidence: str
    since_ms: int
    contributors: tuple[Contributor, ...] = ()
    examples: tuple[str, ...] = ()
    wish: AuditSuggestion | None = None
    dated: bool = False
    holds: bool = False
    figures: dict[str, float] = field(default_factory=dict)


class Evaluator(Protocol):
    """From a rule of the kind and the tables to findings. Pure."""

    def __call__(self, rule: Any, context: RuleContext) -> Iterable[Finding]:
        """One finding per scope of the rule that has anything to say, firing or not."""


class DetectorModel(NamedTuple):
    """The detector of a rule that judges by evidence.

    Attributes:
        measure: What it watches, one of those that the core folds.
        bets: The bets on a share; None for throughput.
    """

    measure: Measure
    bets: ShareBets | None


class LowersToDetector(Protocol):
    """From a rule of the kind to its detector."""

    def __call__(self, rule: Any, /) -> DetectorModel:
        """The detector of a rule whose ``method`` is ``evidence``."""


class KindSpec(Struct, frozen=True):
    """All there is to a kind of alert. Its module ends with one, and alerts/kinds/registry.py names it.

    Attributes:
        rule: What a team writes in YAML: settings, defaults, and what the kind needs of the tables.
        evaluate: Says of each scope whether it fires, with evidence and contributors.
        headline: What is wrong, in the list of incidents, before the scope.
        say: An incident's number in words, for a message.
        figures: Further numbers of a finding by name, with what each counts.
        high: The worse the higher; else the worse the lower.
        detector: For kinds that judge by evidence; their rules have ``method`` and ``budget``.
        coaching: Incidents about a person are a step of their coaching record.
    """

    rule: type[Rule]
    evaluate: Evaluator
    headline: str
    say: Callable[[Incident], Phrase]
    figures: Mapping[str, str] = field(default_factory=dict)
    high: bool = False
    detector: LowersToDetector | None = None
    coaching: bool = False

    @property
    def name(self) -> str:
        """What ``kind`` says in YAML; also the name of the kind's module and of its runbook."""
        (name,) = get_args(self.rule.model_fields["kind"].annotation)
        return str(name)


def labels_of(row: Mapping[str, Any]) -> int:
    """Labels of an accuracy row; where only audits are kept (``tables.audit_scopes``), the audited ones."""
    return int(row["audited"] if row["labels"] is None else row["labels"])


def sample_words(row: Mapping[str, Any], counted: int) -> str:
    """Return, with a leading space, what is to be known of the random audits of an accuracy row; empty where there is nothing.

    ADR 37: what is assumed is named beside every number that rests on it.

    Args:
        row: The row.
        counted: Random audits in the number.
    """
    targeted, assumed = int(row.get("targeted") or 0), int(row.get("assumed") or 0)
    drawn = int(row["audited"]) - targeted
    said = []
    if assumed:
        said.append(
            "assumed random: they say nothing of sampling" if assumed >= drawn else f"{assumed:,} assumed random"
        )
    if drawn > counted:
        said.append(f"{plural(drawn - counted, 'technical error')} left out")
    if targeted:
        said.append(f"{plural(targeted, 'targeted audit')} left out")
    return f" ({'; '.join(said)})" if said else ""


def examples(row: Mapping[str, Any]) -> tuple[str, ...]:
    """Example task ids of a row, at most five; empty where the table has none."""
    return tuple(row.get("examples") or ())[:5]


def top_nano(least_probability: float | None) -> int:
    """Return the greatest weight 1/π of the audit plan in 10⁻⁹, cut as that of audits is; 0 if it is not configured.

    Source: Horvitz, Thompson, JASA 47 (1952): what is drawn with probability π weighs 1/π.
    """
    return 0 if least_probability is None else min(round(NANO / least_probability), MOST_NANO)


def begun_anew(window: str, seen: int, min_sample: int) -> bool:
    """Return whether a window is a day or shift in which too little has happened yet: that shows no recovery from the one before.

    Args:
        window: The rule's window.
        seen: What has happened in it.
        min_sample: The least the rule judges.
    """
    return window in CALENDAR_WINDOWS and seen < min_sample
