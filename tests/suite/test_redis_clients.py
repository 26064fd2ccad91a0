"""Redis clients of tests wait long for an answer: redis-py's own five seconds pass on a busy machine."""

from __future__ import annotations

import re

from tests.suite.layers import ROOT

WITHOUT_TIMEOUT = re.compile(r"Redis\.from_url\((?![^\n]*socket_timeout=)")


def test_no_client_of_a_test_has_the_timeout_of_the_library() -> None:
    here = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "tests").rglob("*.py")
        if WITHOUT_TIMEOUT.search(path.read_text(encoding="utf-8"))
    }
    assert here == set(), "use tests/redis_clients.py"
