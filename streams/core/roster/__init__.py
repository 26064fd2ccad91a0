"""Rosters as events tell them: intervals, plans, who is scheduled when. Pure, all integers."""
