"""The Valkey of the alert tests serves these, too."""

from __future__ import annotations

from tests.alerts.conftest import redis_url, valkey_server
from tests.brokers import kafka_bootstrap

__all__ = ["kafka_bootstrap", "redis_url", "valkey_server"]
