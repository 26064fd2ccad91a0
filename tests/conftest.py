"""Fixtures shared by all tests."""

from __future__ import annotations

from tests.brokers import kafka_bootstrap

__all__ = ["kafka_bootstrap"]
