"""How many labels queues wait for, which a rotation may help with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from streams.core.facts import Fact
from streams.core.policy import DIMENSIONS
from streams.core.task_view import TaskView

_QUEUE = DIMENSIONS.index("queue")


def waiting_labels(tasks: Mapping[str, Sequence[Fact]]) -> dict[str, int]:
    """Return how many labels each queue still waits for.

    Args:
        tasks: Facts by task in log order.

    Returns:
        By queue: over created, not cancelled tasks, required less standing labels.
    """
    found: dict[str, int] = {}
    for facts in tasks.values():
        view = TaskView(facts)
        if view.created is None or view.cancelled:
            continue
        missing = view.created.required_labels - len(view.task_labels)
        queue = view.created.dims[_QUEUE]
        if missing > 0 and queue is not None:
            found[queue] = found.get(queue, 0) + missing
    return found
