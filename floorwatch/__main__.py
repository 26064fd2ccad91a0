"""``python -m floorwatch``."""

from __future__ import annotations

from floorwatch.cli import main

if __name__ == "__main__":
    main()
