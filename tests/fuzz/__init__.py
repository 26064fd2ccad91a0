"""Generated events and requests through gateway, intake, ledger, tables and every renderer; ``python -m tests.fuzz``."""
