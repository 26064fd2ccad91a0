"""All hand-written cases of docs/meaning.md.

Each ``Case`` is events in log order and the one-hour rows they must give; see ``case_events.Case`` for how to read it.
They are run against the naive oracle (``test_cases.py``) and against the product's core.
"""

from __future__ import annotations

from tests.oracle.case_events import CHECKED_FIELDS, START, START_MS, Case
from tests.oracle.cases_appeals import APPEAL_CASES
from tests.oracle.cases_audits import AUDIT_CASES
from tests.oracle.cases_labels import LABEL_CASES
from tests.oracle.cases_sampling import SAMPLING_CASES
from tests.oracle.cases_sla import SLA_CASES

CASES: list[Case] = [*LABEL_CASES, *AUDIT_CASES, *SAMPLING_CASES, *APPEAL_CASES, *SLA_CASES]

__all__ = ["CASES", "CHECKED_FIELDS", "START", "START_MS", "Case"]
