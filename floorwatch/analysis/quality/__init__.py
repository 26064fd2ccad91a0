"""Quality framework: what audits, appeals and overlapping labels say of decisions, people, guidelines and vendors.

Everything is counted in integers per task (``tally.count_task``), so counts of tasks, partitions and days merge by adding
and a corrected task is taken back by subtracting. Ratios, coefficients and intervals are derived from the counts alone.
"""
