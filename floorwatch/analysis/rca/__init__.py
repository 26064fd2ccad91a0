"""Root cause: the whole answer to why a ratio changed, from the cuts of ``streams.core.rca``."""
