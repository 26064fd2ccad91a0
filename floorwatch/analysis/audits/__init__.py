"""How many audits to make, of what, and with which probability. Pure mathematics: no files, no clock, no chance."""
