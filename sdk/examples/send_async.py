"""The same from a web application with asyncio: python send_async.py GATEWAY_URL SPOOL_FOLDER."""

from __future__ import annotations

import asyncio
import sys

from floorwatch_sdk import AsyncEmitter, LabelSubmittedData, event


async def save(fw: AsyncEmitter, number: int) -> None:
    """Save one label; calls at the same time share one write to the disk."""
    label = LabelSubmittedData(label_id=f"l-{number}", labeler_id="ben", queue="comments", values=[])
    await fw.send(event(label, task_id=f"t-{number}", source="my-tool"))


async def main(url: str, spool: str) -> None:
    """Save a hundred labels at once."""
    async with AsyncEmitter(url, spool=spool) as fw:
        await asyncio.gather(*(save(fw, number) for number in range(100)))
        await fw.flush(30)
        print(fw.status().delivered, "delivered,", len(await fw.refused()), "refused")


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
