"""The doctor's checks of Kafka: whether it is reachable, is a Kafka, accepts the login, and has the right topics."""

from __future__ import annotations

import asyncio
from typing import Any

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from config.connect import kafka_options
from config.kafka import KafkaSettings
from floorwatch.cli.doctor_check import ANSWER_TIMEOUT_S, Check
from streams.adapters.reachability import connection_fault_of
from streams.adapters.topic_configs import topic_configs
from streams.models.kafka_producer import started_producer
from streams.models.topics import ARRIVAL, TopicSpec, topic_specs

_CREATE = "run `floorwatch topics create`: workers create none"


async def kafka_checks(kafka: KafkaSettings, horizon_days: int) -> list[Check]:
    """Check every broker on its own, then the topics through one that answers.

    Args:
        kafka: The ``kafka`` section.
        horizon_days: Correction horizon, which decides the topics' retention.
    """
    try:
        options = kafka_options(kafka)
    except OSError as error:
        said = f"a certificate cannot be used: {(error.strerror or str(error)).lower()}"
        return [Check("fail", "kafka certificates", said, "check kafka.security ca_file, cert_file and key_file (PEM)")]
    checks = list(await asyncio.gather(*(_broker(address, options) for address in kafka.brokers)))
    if all(check.status != "ok" for check in checks):
        return checks
    if any(check.status != "ok" for check in checks):
        # One broker of several that is down stops nothing, because the client uses the others.
        checks = [Check("warn" if c.status == "fail" else c.status, c.name, c.detail, c.fix) for c in checks]
    return [*checks, await _idempotence(kafka, options), *await _topics(kafka, options, horizon_days)]


async def _idempotence(kafka: KafkaSettings, options: dict[str, Any]) -> Check:
    """Check that the broker gives producer ids where the configuration asks for an idempotent producer, and only there."""
    name = "idempotent producer"
    try:
        async with asyncio.timeout(ANSWER_TIMEOUT_S):
            producer = await started_producer(options, idempotent=True, timeout_ms=int(ANSWER_TIMEOUT_S * 1000))
        await producer.stop()
    except (KafkaError, OSError, TimeoutError) as error:
        if not kafka.idempotent_producer:
            return Check("ok", name, "off, and the broker has none")
        said = f"the broker gives no producer id ({type(error).__name__})"
        fix = (
            "set kafka.idempotent_producer: false for a broker without InitProducerId; on Kafka, grant IdempotentWrite"
        )
        return Check("fail", name, said, fix)
    if kafka.idempotent_producer:
        return Check("ok", name, "the broker gives producer ids")
    fix = "set kafka.idempotent_producer: true, so that a batch sent again cannot land behind a newer one"
    return Check("warn", name, "off, though the broker gives producer ids", fix)


async def _broker(address: str, options: dict[str, Any]) -> Check:
    name = f"broker {address}"
    obstacle = await connection_fault_of(address, options, ANSWER_TIMEOUT_S)
    if obstacle is not None:
        return Check("fail", name, obstacle.said, obstacle.fix)
    return Check("ok", name, f"answers with {options['security_protocol']}")


async def _topics(kafka: KafkaSettings, options: dict[str, Any], horizon_days: int) -> list[Check]:
    admin = AIOKafkaAdminClient(**options, request_timeout_ms=int(ANSWER_TIMEOUT_S * 1000))
    try:
        async with asyncio.timeout(2 * ANSWER_TIMEOUT_S):
            await admin.start()
            described = await admin.describe_topics()
            found = {topic["topic"]: topic["partitions"] for topic in described if not topic["error_code"]}
            specs = topic_specs(
                kafka.topic_prefix,
                kafka.partitions,
                horizon_days,
                events_kept_days=kafka.events_kept_days,
                max_message_bytes=kafka.max_message_bytes,
            )
            present = [spec for spec in specs if spec.name in found]
            raw = [name for name in kafka.intake_topics if name in found]
            configs = await _configs(admin, sorted({*raw, *(spec.name for spec in present)}))
    except (KafkaError, OSError, TimeoutError) as error:
        fix = "check that every broker's advertised address can be reached from here, and the user's rights"
        return [Check("fail", "topics", f"cannot be listed ({type(error).__name__})", fix)]
    finally:
        await admin.close()
    checks = [_presence(kafka, specs, found)]
    checks += _foreign(kafka, found)
    checks += _expiring([name for name in raw if name not in {spec.name for spec in specs}], configs)
    if present:
        checks += [
            _partitions(kafka, present, found),
            _policies(present, configs),
            *_sizes(present, configs),
            *_arrival(kafka, present, configs),
            _replicas(kafka, present, found),
        ]
    return checks


async def _configs(admin: AIOKafkaAdminClient, names: list[str]) -> dict[str, dict[str, str]]:
    """Return the broker-side configuration of each topic; empty where the broker does not say."""
    try:
        return await topic_configs(admin, names)
    except KafkaError:
        return {}


def _presence(kafka: KafkaSettings, specs: list[TopicSpec], found: dict[str, Any]) -> Check:
    missing = [spec.name for spec in specs if spec.name not in found]
    if not missing:
        return Check("ok", "topics", f"all {len(specs)} of {kafka.topic_prefix}* are there")
    if len(missing) == len(specs):
        return Check("warn", "topics", f"none of {kafka.topic_prefix}* yet", _CREATE)
    return Check("fail", "topics", f"missing: {', '.join(missing)}", _CREATE)


def _foreign(kafka: KafkaSettings, found: dict[str, Any]) -> list[Check]:
    own = {kafka.topic_prefix + name for name in ("raw.v1",)}
    missing = [name for name in kafka.intake_topics if name not in found and name not in own]
    if not missing:
        return []
    fix = "correct kafka.raw_topics or kafka.foreign_raw_topics, or create them"
    return [Check("fail", "raw topics", f"missing: {', '.join(missing)}", fix)]


def _partitions(kafka: KafkaSettings, present: list[TopicSpec], found: dict[str, Any]) -> Check:
    counts = {spec.name: len(found[spec.name]) for spec in present}
    odd = {name: count for name, count in counts.items() if count != kafka.partitions}
    if not odd:
        return Check("ok", "partitions", f"{kafka.partitions} in every topic")
    if len(set(counts.values())) == 1:
        count = next(iter(counts.values()))
        return Check(
            "fail", "partitions", f"every topic has {count}, the configuration says {kafka.partitions}",
            f"set kafka.partitions: {count}; with data in place the count cannot change",
        )  # fmt: skip
    listed = ", ".join(f"{name} has {count}" for name, count in odd.items())
    fix = "all topics need the same count: delete those that are empty and run `floorwatch topics create`, or use a new topic_prefix"
    return Check("fail", "partitions", f"{listed}, the configuration says {kafka.partitions}", fix)


def _policies(present: list[TopicSpec], configs: dict[str, dict[str, str]]) -> Check:
    if not configs:
        return Check("warn", "cleanup policy", "the broker does not say", "nothing to do on the embedded broker")
    wrong = []
    for spec in present:
        wanted, actual = spec.config["cleanup.policy"], configs.get(spec.name, {}).get("cleanup.policy")
        if actual is not None and actual != wanted:
            wrong.append((spec.name, actual, wanted))
    if not wrong:
        known = sum("cleanup.policy" in configs.get(spec.name, {}) for spec in present)
        return Check("ok", "cleanup policy", f"as needed in {known} topics the broker tells of")
    listed = ", ".join(f"{name} is {actual}, not {wanted}" for name, actual, wanted in wrong)
    name, _, wanted = wrong[0]
    fix = (
        f"kafka-configs --alter --topic {name} --add-config cleanup.policy={wanted} (compaction of a log loses events)"
    )
    return Check("fail", "cleanup policy", listed, fix)


def _sizes(present: list[TopicSpec], configs: dict[str, dict[str, str]]) -> list[Check]:
    """Check that each topic holds records as large, and the log is kept as long, as the configuration says."""
    checks = []
    for setting, lacks in (
        ("max.message.bytes", "kafka.max_message_bytes"),
        ("retention.ms", "kafka.events_kept_days"),
    ):
        short = [
            (spec.name, spec.config[setting])
            for spec in present
            if setting in spec.config
            and setting in configs.get(spec.name, {})
            and 0 <= int(configs[spec.name][setting]) < int(spec.config[setting])
        ]
        if short:
            name, wanted = short[0]
            detail = f"less than {lacks} and the horizon ask for: {', '.join(topic for topic, _ in short)}"
            fix = f"kafka-configs --alter --topic {name} --add-config {setting}={wanted}, and so on for each"
            checks.append(Check("warn", setting, detail, fix))
    return checks


def _arrival(kafka: KafkaSettings, present: list[TopicSpec], configs: dict[str, dict[str, str]]) -> list[Check]:
    """Check that the broker stamps arrival on our topics. The embedded one accepts the setting and does not do it."""
    if kafka.trust_record_time:
        said = "stamped by the embedded stack's shipper, and by the workers' clocks on what others write to its broker"
        return [Check("ok", "arrival times", said)]
    setting, wanted = next(iter(ARRIVAL.items()))
    told = {spec.name: configs[spec.name][setting] for spec in present if setting in configs.get(spec.name, {})}
    if not told:
        return []
    sent = [name for name, actual in told.items() if actual != wanted]
    if not sent:
        return [Check("ok", "arrival times", f"stamped by the broker in {len(told)} topics")]
    detail = (
        f"left to the sender ({setting}=CreateTime): {', '.join(sent)}. Retention deletes what a backfill dates back, and "
        "arrival is judged by the workers' clocks"
    )
    return [Check("warn", "arrival times", detail, "run `floorwatch topics create`: it alters topics that exist")]


def _expiring(foreign: list[str], configs: dict[str, dict[str, str]]) -> list[Check]:
    """Warn of raw topics of others whose retention goes by what senders date their records."""
    setting, wanted = next(iter(ARRIVAL.items()))
    risky = [
        name
        for name in foreign
        if configs.get(name, {}).get(setting, wanted) != wanted
        and "delete" in configs[name].get("cleanup.policy", "")
        and int(configs[name].get("retention.ms", -1)) >= 0
    ]
    if not risky:
        return []
    detail = f"goes by the sender's record time: {', '.join(risky)}. A backfill older than that may be deleted unread"
    fix = (
        f"kafka-configs --alter --topic {risky[0]} --add-config {setting}={wanted}, or retention.ms=-1 for the backfill"
    )
    return [Check("warn", "raw topics' retention", detail, fix)]


def _replicas(kafka: KafkaSettings, present: list[TopicSpec], found: dict[str, Any]) -> Check:
    least = min((len(part["replicas"]) for spec in present for part in found[spec.name]), default=0)
    headless = [spec.name for spec in present if any(part["leader"] < 0 for part in found[spec.name])]
    if headless:
        fix = "bring back the brokers that hold these partitions"
        return Check("fail", "replicas", f"no leader in {', '.join(headless)}", fix)
    if least < kafka.replication:
        detail = f"a topic has {least}, the configuration says {kafka.replication}"
        return Check(
            "warn", "replicas", detail, "raise it with kafka-reassign-partitions; a lost broker would lose data"
        )
    return Check("ok", "replicas", f"at least {least} of every partition")
