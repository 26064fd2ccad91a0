"""The real broker the other tests rely on: it starts, and does what the embedded one cannot."""

from __future__ import annotations

import asyncio

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic


async def _end_after_a_batch(bootstrap: str) -> int:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    await admin.create_topics([NewTopic("smoke", 1, 1)])
    await admin.close()
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap, enable_idempotence=True)
    await producer.start()
    batch = producer.create_batch()
    for number in range(5):
        batch.append(key=b"k", value=b"%d" % number, timestamp=None)
    await (await producer.send_batch(batch, "smoke", partition=0))
    await producer.stop()
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap)
    await consumer.start()
    end = (await consumer.end_offsets([TopicPartition("smoke", 0)]))[TopicPartition("smoke", 0)]
    await consumer.stop()
    return int(end)


def test_a_batch_of_five_moves_the_end_by_five(kafka_bootstrap: str) -> None:
    assert asyncio.run(_end_after_a_batch(kafka_bootstrap)) == 5
