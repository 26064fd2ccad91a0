"""Replay: reads the log again and folds it in memory, to tell where a number comes from and what was known when.

Nothing here writes. Consumers are in no group, and the fold is the same pure core that workers run.
"""
