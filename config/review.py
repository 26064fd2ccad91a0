"""What is wrong or risky about a configuration whose settings are each valid."""

from __future__ import annotations

from config.schema import FloorwatchConfig
from config.sites import FIX, named_sites, zoneless, zoneless_words
from gateway.settings import open_to_strangers


def faults(config: FloorwatchConfig) -> list[str]:
    """Return what would keep a process from starting, as sentences."""
    open_gateway = open_to_strangers(config.gateway)
    return [] if open_gateway is None else [f"gateway.host: the gateway would not start: {open_gateway}"]


def warnings(config: FloorwatchConfig) -> list[str]:
    """Return what starts but should be thought about, as sentences."""
    found: list[str] = list(config.renamed)
    personal = [scope for scope in config.metrics.scopes if "labeler" in scope]
    if personal:
        found.append(
            "metrics.scopes: labeler puts people's ids into metrics, which have no login, are kept by Prometheus and are one "
            "series a person; for people use `floorwatch people`, or make sure who reads your metrics"
        )
    if config.gateway.allow_unauthenticated and not config.gateway.sources:
        found.append("gateway.allow_unauthenticated: anyone who reaches the gateway may send, under any source")
    if "*" in config.gateway.allowed_hosts and not config.gateway.sources:
        found.append("gateway.allowed_hosts: '*' without tokens lets web pages send through a rebound host name")
    without = zoneless(named_sites(config), config.tables)
    if without:
        found.append(f"tables.zones: {zoneless_words(without, config.tables)}; {FIX}")
    return found
