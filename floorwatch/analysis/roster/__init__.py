"""Rosters: who should work, who does, how busy they are and how many are needed. Pure, all integers."""
