"""SASL over TLS against a real Kafka with a self-made authority: worker and doctor by configuration file alone."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from aiokafka import AIOKafkaProducer

from floorwatch.chaos.cluster import Cluster
from floorwatch.chaos.kafka import KafkaNode
from floorwatch.embedded.servers import clean_environment
from floorwatch.settings.load import load
from streams.adapters.admin import create_topics
from streams.adapters.clients import kafka_settings
from streams.models import topics
from tests.kafka.conftest import processes, start_worker, write_config
from tests.oracle.case_events import label
from tests.support import require
from tests.waits import until

pytestmark = pytest.mark.servers

USER, PASSWORD = "floorwatch", "correct horse battery"
PREFIX = "secured."


def _openssl(folder: Path, *arguments: str) -> None:
    done = subprocess.run([require("openssl"), *arguments], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def make_authority(folder: Path) -> None:
    """Write ca.pem, and broker.pem (key and certificate for 127.0.0.1) signed by it."""
    new = ("req", "-newkey", "rsa:2048", "-nodes")
    _openssl(folder, *new, "-x509", "-days", "2", "-subj", "/CN=Test authority", "-keyout", "ca.key", "-out", "ca.pem")
    _openssl(folder, *new, "-subj", "/CN=broker", "-keyout", "broker.key", "-out", "broker.csr")
    (folder / "san.cnf").write_text("subjectAltName=IP:127.0.0.1\n")
    signed = ("x509", "-req", "-days", "2", "-in", "broker.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial")
    _openssl(folder, *signed, "-extfile", "san.cnf", "-out", "broker.crt")
    (folder / "broker.pem").write_text((folder / "broker.key").read_text() + (folder / "broker.crt").read_text())


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """``host:port`` of a Kafka that speaks SASL_SSL alone to clients, and the folder with ca.pem."""
    require("java")
    folder = tmp_path_factory.mktemp("secured")
    make_authority(folder)
    properties = {
        "ssl.keystore.type": "PEM",
        "ssl.keystore.location": str(folder / "broker.pem"),
        "sasl.enabled.mechanisms": "SCRAM-SHA-512",
        "listener.name.client.scram-sha-512.sasl.jaas.config": (
            "org.apache.kafka.common.security.scram.ScramLoginModule required;"
        ),
    }
    node = KafkaNode(folder / "kafka", properties, protocol="SASL_SSL", scram_users={USER: PASSWORD})
    try:
        node.start()
        yield node.bootstrap, folder
    finally:
        node.stop()


def config_file(path: Path, bootstrap: str, folder: Path, redis_url: str, **security: Any) -> Path:
    (folder / "password").write_text(PASSWORD + "\n")
    given = {
        "protocol": "SASL_SSL",
        "mechanism": "SCRAM-SHA-512",
        "username": USER,
        "password_file": str(folder / "password"),
        "ca_file": str(folder / "ca.pem"),
        **security,
    }
    kafka = {
        "brokers": [bootstrap],
        "topic_prefix": PREFIX,
        "partitions": 2,
        "security": {name: value for name, value in given.items() if value is not None},
    }
    return write_config(path, kafka=kafka, redis={"url": redis_url}, gateway={"port": 0})


def doctor(config: Path) -> tuple[int, dict[str, Any]]:
    command = [sys.executable, "-m", "floorwatch", "doctor", "--config", str(config), "--json"]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, env=clean_environment(), cwd=config.parent
    )
    return done.returncode, json.loads(done.stdout)


@pytest.mark.slow
def test_a_worker_folds_an_event_over_sasl_and_tls_and_the_doctor_is_content(
    secured: tuple[str, Path], tmp_path: Path
) -> None:
    bootstrap, folder = secured

    async def fold() -> tuple[dict[str, Any], int, dict[str, Any]]:
        async with processes(tmp_path) as (servers, redis_url):
            path = config_file(tmp_path / "f.yaml", bootstrap, folder, redis_url)
            options = kafka_settings(load(path, {}))
            await create_topics(options, topics.topic_specs(PREFIX, 2))
            worker = start_worker(servers, "worker", path)
            event = json.dumps(label("l-1", 5)).encode()
            producer = AIOKafkaProducer(acks="all", **options)
            await producer.start()
            await producer.send_and_wait(PREFIX + topics.RAW, event, key=b"t-1", partition=0)
            await producer.stop()
            cluster = Cluster(options, PREFIX, "floorwatch", 2)

            async def published() -> dict[str, Any]:
                return {key: row for key, row in (await cluster.table("throughput")).items() if row["labels"]}

            said = lambda: servers.log_tail("worker", 5)
            rows = await until(published, "rows with the label", progress=said, process=worker)
            await cluster.close()
            code, checks = await asyncio.to_thread(doctor, path)
            return rows, code, checks

    rows, code, checks = asyncio.run(fold())
    assert any(key.startswith("all|") for key in rows)
    assert code == 0, checks
    named = {check["name"]: check for check in checks["checks"]}
    assert named[f"broker {bootstrap}"]["detail"] == "answers with SASL_SSL"
    assert named["topics"]["status"] == "ok"


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"ca_file": None}, "its certificate is not trusted"),
        ({"password_file": None, "password": "guess"}, f"refuses user {USER}"),
        ({"mechanism": "PLAIN"}, "does not offer PLAIN"),
    ],
)
def test_the_doctor_names_what_is_wrong(
    secured: tuple[str, Path], tmp_path: Path, wrong: dict[str, Any], said: str
) -> None:
    bootstrap, folder = secured
    path = config_file(tmp_path / "f.yaml", bootstrap, folder, "redis://127.0.0.1:1/0", **wrong)
    code, checks = doctor(path)
    assert code == 1
    broker = next(check for check in checks["checks"] if check["name"] == f"broker {bootstrap}")
    assert said in broker["detail"], yaml.safe_dump(checks)
    assert broker["fix"]
