"""A deterministic simulation of log, group, store and workers over the very code of the engine."""
