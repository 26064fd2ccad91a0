"""Replay: the log read again and folded in memory, to answer where a number comes from and what was known when.

Nothing here writes: consumers stand outside every group, and the fold is the same pure core that workers run.
"""
