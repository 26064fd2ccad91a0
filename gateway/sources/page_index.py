"""Which records a dataset has, in pages: some tools delete a whole dataset with one webhook, and name none of its records."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gateway.webhooks import Remembered

PAGE_RECORDS = 500
MOST_PAGES = 200
MOST_RECORDS = PAGE_RECORDS * MOST_PAGES


def index_key(source: str, dataset: Any) -> str:
    """Return the memory key of a dataset."""
    return f"{source}:dataset:{dataset}"


def _page_key(source: str, dataset: Any, page: int) -> str:
    return f"{source}:dataset:{dataset}:{page}"


def index_of(source: str, dataset: Any, seen: Mapping[str, Remembered]) -> Remembered:
    """Return what is remembered of a dataset: how many pages there are, whether it is full, when it was deleted."""
    return seen.get(index_key(source, dataset)) or {"pages": 1, "full": False, "deleted_us": None}


def keys(
    source: str, dataset: Any, seen: Mapping[str, Remembered], known: Remembered | None, *, whole: bool
) -> list[str]:
    """Return the keys that are needed; the pages only once it is known how many there are.

    Args:
        source: CloudEvents source.
        dataset: Dataset id.
        seen: What is known so far.
        known: What is remembered of the webhook's record, or None.
        whole: Whether every page is needed, not only the last and that of the record.
    """
    key = index_key(source, dataset)
    found = [key]
    if key in seen:
        last = index_of(source, dataset, seen)["pages"]
        pages = set(range(1, last + 1)) if whole else {last}
        if known is not None and known["page"]:
            pages.add(known["page"])
        found += [_page_key(source, dataset, page) for page in sorted(pages)]
    return found


def entered(
    source: str, dataset: Any, record: str, seen: Mapping[str, Remembered]
) -> tuple[int, dict[str, Remembered]]:
    """Return the page on which a new record stands, 0 for none where the dataset is full, and what has changed."""
    index = index_of(source, dataset, seen)
    page = index["pages"]
    held = seen.get(_page_key(source, dataset, page)) or {"records": [], "taken": 0}
    if held["taken"] >= PAGE_RECORDS:
        if page >= MOST_PAGES:
            return 0, {index_key(source, dataset): {**index, "full": True}}
        page, held = page + 1, {"records": [], "taken": 0}
    changed = {"records": [*held["records"], record], "taken": held["taken"] + 1}
    return page, {index_key(source, dataset): {**index, "pages": page}, _page_key(source, dataset, page): changed}


def fresh(source: str, dataset: Any) -> dict[str, Remembered]:
    """Return the index of a dataset without records."""
    index = {"pages": 1, "full": False, "deleted_us": None}
    return {index_key(source, dataset): index, _page_key(source, dataset, 1): {"records": [], "taken": 0}}


def left(source: str, held: Remembered, record: str, seen: Mapping[str, Remembered]) -> dict[str, Remembered]:
    """Return what changes when a record is deleted: its dataset's deletion does not cancel it again."""
    key = _page_key(source, held["dataset"], held["page"])
    page = seen.get(key)
    if page is None or record not in page["records"]:
        return {}
    return {key: {**page, "records": [one for one in page["records"] if one != record]}}


def records(source: str, dataset: Any, seen: Mapping[str, Remembered]) -> list[str]:
    """Return the records of a dataset that are not deleted, in the order in which they came."""
    pages = range(1, index_of(source, dataset, seen)["pages"] + 1)
    return [one for page in pages for one in (seen.get(_page_key(source, dataset, page)) or {"records": []})["records"]]
