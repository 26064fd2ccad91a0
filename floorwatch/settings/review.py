"""What is wrong or risky about a configuration whose settings are each valid."""

from __future__ import annotations

import json
import re
from itertools import combinations

from config.base import SettingsFault
from floorwatch.settings.sampling_sources import sampling_warnings
from floorwatch.settings.schema import FloorwatchConfig
from floorwatch.settings.sites import FIX, named_sites, zoneless, zoneless_words
from gateway.authenticator import SourceFault, UnauthenticatedGateway, authenticator

_HOST_NAME = re.compile(r"[^\s:/,?#@]+")


def gateway_faults(config: FloorwatchConfig) -> list[SettingsFault]:
    """Return what would keep the gateway from starting."""
    try:
        authenticator(config.gateway)
    except UnauthenticatedGateway as error:
        return [SettingsFault(("gateway", "host"), f"the gateway would not start: {error}", "", (("gateway",),))]
    except SourceFault as error:
        return [SettingsFault(("gateway", "sources"), f"the gateway would not start: {error}", "", (("gateway",),))]
    return []


def faults(config: FloorwatchConfig) -> list[str]:
    """Return what would keep a process from starting, as sentences."""
    return [f"{'.'.join(map(str, fault.field))}: {fault.reason}" for fault in gateway_faults(config)]


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
    found += _overlapping(config)
    found += sampling_warnings(config.sampling, config.gateway, config.kafka)
    for host in config.gateway.allowed_hosts:
        if host != "*" and not _HOST_NAME.fullmatch(host):
            hint = "write e.g. floor.example.net"
            found.append(f"gateway.allowed_hosts: {_quoted(host)} is not a host name and never matches; {hint}")
    without = zoneless(named_sites(config), config.tables)
    if without:
        found.append(f"tables.zones: {zoneless_words(without, config.tables)}; {FIX}")
    return found


def _overlapping(config: FloorwatchConfig) -> list[str]:
    """Return which senders could take the ids of each other's events: source and id are an event's identity."""
    senders = {grant.place: grant for grant in config.topic_grants().values()}
    for name, source in config.gateway.sources.items():
        place = f"gateway.sources.{name}"
        senders[place] = source.grant(name, place)
    found: list[str] = []
    for (one, a), (other, b) in combinations(sorted(senders.items()), 2):
        pairs = [(x, y) for x in a.event_sources for y in b.event_sources if x.startswith(y) or y.startswith(x)]
        if a.sender == b.sender or not pairs:
            continue
        short, long = sorted(pairs[0], key=len)
        if short == long:
            said, fix = f"both begin with {_quoted(short)}", "give each its own"
        else:
            said = f"what begins with {_quoted(long)} also begins with {_quoted(short)}"
            plain = short[-1:].isalnum()
            fix = f"end them with a separator, e.g. [{short}/]" if plain else "give each a beginning of its own"
        found.append(
            f"{one} and {other}: event_sources overlap: {said}, so one could take the ids of the other's events; {fix}"
        )
    return found


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
