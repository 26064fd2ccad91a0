"""The Faust app of a worker."""

from __future__ import annotations

import tempfile
from typing import Any

import faust

from config.connect import tls_context
from config.kafka import KafkaSettings
from streams.engine.batches import IN_HAND, BatchTransport


def faust_app(kafka: KafkaSettings, max_batch_records: int) -> faust.App:
    """Return a worker's Faust app, with micro-batches for its transport and neither tables, a leader nor a web server.

    Args:
        kafka: The broker, the topics and the consumer group.
        max_batch_records: Records of one micro-batch.
    """
    session_s = kafka.session_timeout_s
    app = faust.App(
        kafka.group,
        broker=[f"kafka://{broker}" for broker in kafka.brokers],
        broker_credentials=_credentials(kafka),
        store="memory://",
        processing_guarantee="at_least_once",
        topic_disable_leader=True,
        topic_allow_declare=False,
        table_standby_replicas=0,
        consumer_auto_offset_reset="earliest",
        broker_session_timeout=session_s,
        broker_rebalance_timeout=kafka.rebalance_timeout_s,
        broker_heartbeat_interval=min(1.0, session_s / 3),
        broker_request_timeout=max(30.0, session_s * 2),
        broker_max_poll_records=max_batch_records,
        consumer_max_fetch_size=4 * 1_048_576,
        producer_acks=-1,
        # This is never reached, because the consumer's bound by partition (IN_HAND) is reached first, and that one does
        # not stop other topics.
        stream_buffer_maxsize=8 + IN_HAND * kafka.partitions * 3 // 2,
        stream_wait_empty=False,
        stream_recovery_delay=0.0,
        web_enabled=False,
        datadir=tempfile.mkdtemp(prefix="floorwatch-"),
        loghandlers=[],
    )
    app.transport = BatchTransport(app.conf.broker_consumer, app)
    return app


def _credentials(kafka: KafkaSettings) -> Any:
    security = kafka.security
    if security.protocol == "PLAINTEXT":
        return None
    context = tls_context(kafka)
    if security.protocol == "SSL":
        return faust.SSLCredentials(context)
    password = security.password.get_secret_value() if security.password is not None else ""
    return faust.SASLCredentials(
        mechanism=security.mechanism, username=security.username, password=password, ssl_context=context
    )
