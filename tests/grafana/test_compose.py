"""docker-compose.yml: valid by the specification's schema, pinned, healthy, and one with its neighbours."""

from __future__ import annotations

import copy
import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError

from floorwatch.settings.load import load
from tests.support import require

ROOT = Path(__file__).resolve().parents[2]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
SCHEMA = json.loads((Path(__file__).parent / "data/compose-spec.json").read_text())
DOCKERFILE = (ROOT / "Dockerfile").read_text()
OURS = ("topics", "gateway", "worker", "web")


def test_it_is_valid_by_the_compose_specification() -> None:
    Draft202012Validator.check_schema(SCHEMA)
    Draft202012Validator(SCHEMA).validate(COMPOSE)


@pytest.mark.parametrize(("place", "value"), [("ports", "9090"), ("healthcheck", {"tests": []}), ("imagee", "x")])
def test_the_schema_refuses_faults(place: str, value: object) -> None:
    broken = copy.deepcopy(COMPOSE)
    broken["services"]["prometheus"][place] = value
    with pytest.raises(ValidationError):
        Draft202012Validator(SCHEMA).validate(broken)


def test_it_starts_everything_the_stack_needs() -> None:
    assert set(SERVICES) == {"kafka", "redis", "prometheus", "alertmanager", "grafana", *OURS}


def image_of(service: dict[str, Any]) -> str:
    """Return the image without a variable's name: what is used where .env does not say."""
    return re.sub(r"\$\{\w+:-(.*)\}", r"\1", str(service["image"]))


def test_images_are_pinned_to_a_version_and_may_be_by_digest() -> None:
    example = (ROOT / ".env.example").read_text()
    for name, service in SERVICES.items():
        image = image_of(service)
        if name in OURS:
            assert image == "floorwatch:local"
        else:
            assert re.fullmatch(r"[\w/-]+:v?\d+\.\d+\.\d+(-alpine)?", image), image
            assert f"#{name.upper()}_IMAGE={image}\n" in example
    assert re.search(r"^ARG PYTHON_IMAGE=python:3\.11\.\d+-slim-bookworm$", DOCKERFILE, re.MULTILINE)
    assert set(re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE)) == {"${PYTHON_IMAGE}"}


def test_every_variable_is_in_the_example() -> None:
    named = set(re.findall(r"\$\{(\w+)", (ROOT / "docker-compose.yml").read_text()))
    assert set(re.findall(r"^#(\w+)=", (ROOT / ".env.example").read_text(), re.MULTILINE)) == named


def test_every_container_is_hardened_and_limited() -> None:
    for name, service in SERVICES.items():
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert "cap_add" not in service, name
        assert "privileged" not in service, name
        assert service["pids_limit"] > 0, name
        assert re.fullmatch(r"\d+[mg]", service["mem_limit"]), name
        assert service["cpus"] > 0, name
        assert service["logging"]["options"]["max-size"], name
    # The only one whose image starts as root.
    assert SERVICES["redis"]["user"] == "999:1000"


def test_what_a_container_limits_itself_to_is_within_its_memory() -> None:
    heap = re.findall(r"-Xm[sx](\d+)g", SERVICES["kafka"]["environment"]["KAFKA_HEAP_OPTS"])
    assert max(int(size) for size in heap) * 2 <= int(SERVICES["kafka"]["mem_limit"].removesuffix("g"))
    command = SERVICES["redis"]["command"]
    most = int(command[command.index("--maxmemory") + 1].removesuffix("mb"))
    assert most * 2 <= 1024 * int(SERVICES["redis"]["mem_limit"].removesuffix("g"))


def test_no_health_check_starts_a_jvm() -> None:
    for service in SERVICES.values():
        said = " ".join(service.get("healthcheck", {}).get("test", []))
        assert ".sh" not in said
        assert "java" not in said


def test_the_configuration_is_mounted_and_valid(tmp_path: Path) -> None:
    for name in OURS:
        mounts = SERVICES[name]["volumes"]
        assert "${FLOORWATCH_CONFIG_DIR:-./docker/config}:/etc/floorwatch:ro" in mounts, name
        env = {key: str(value) for key, value in SERVICES[name]["environment"].items()}
        assert env["FLOORWATCH_CONFIG"] == "/etc/floorwatch/floorwatch.yaml"
        config = load(ROOT / "docker/config/floorwatch.yaml", env, channels="built")
        assert config.rules
        # What stands there as a comment works, too.
        text = (ROOT / "docker/config/floorwatch.yaml").read_text()
        (tmp_path / "secrets").mkdir(exist_ok=True)
        (tmp_path / "secrets/chat.url").write_text("mmost://127.0.0.1/token123456\n")
        (tmp_path / "f.yaml").write_text(
            "".join(f"{line}\n" for line in re.findall(r"^# ((?:alerts:|  ).*)", text, re.MULTILINE))
        )
        assert set(load(tmp_path / "f.yaml", {}, channels="built").alerts.routes["default"]) == {"oncall"}


def test_cold_tasks_and_the_spool_go_to_volumes_that_our_user_may_write() -> None:
    places = {
        "worker": SERVICES["worker"]["environment"]["FLOORWATCH_ENGINE__STATE_DIR"],
        "gateway": SERVICES["gateway"]["environment"]["FLOORWATCH_GATEWAY__SPOOL_DIR"],
    }
    made = re.search(r"install -d -o 10001 -g 10001 (.*)", DOCKERFILE)
    assert made
    for name, place in places.items():
        mounted = [mount.split(":")[1] for mount in SERVICES[name]["volumes"] if not mount.startswith(("$", "."))]
        assert place in mounted
        assert place in made[1].split()


def test_kafka_and_redis_can_be_reached_from_this_machine_as_the_comment_says() -> None:
    text = (ROOT / "docker-compose.yml").read_text()
    said = dict(re.findall(r"(FLOORWATCH_\w+)=(\S+)", text.partition("\nname:")[0]))
    config = load(None, said)
    assert f"127.0.0.1:{config.kafka.brokers[0].rpartition(':')[2]}:19092" in SERVICES["kafka"]["ports"]
    port = re.search(r":(\d+)/0$", config.redis.url)
    assert port
    assert f"127.0.0.1:{port[1]}:6379" in SERVICES["redis"]["ports"]


def test_every_lasting_service_has_a_healthcheck_and_waits_for_healthy_ones() -> None:
    for name, service in SERVICES.items():
        if name != "topics":
            assert service["healthcheck"]["test"][0] == "CMD", name
        for needed, condition in service.get("depends_on", {}).items():
            once = SERVICES[needed].get("restart") == "no"
            assert condition["condition"] == ("service_completed_successfully" if once else "service_healthy")


def test_ports_are_bound_to_this_machine_only() -> None:
    published = [port for service in SERVICES.values() for port in service.get("ports", [])]
    assert published
    assert all(port.startswith("127.0.0.1:") for port in published)


def test_named_volumes_are_declared_and_mounted_files_exist() -> None:
    mounts = [mount for service in SERVICES.values() for mount in service.get("volumes", [])]
    mounts = [re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", mount) for mount in mounts]
    named = {mount.split(":")[0] for mount in mounts if not mount.startswith(".")}
    assert named == set(COMPOSE["volumes"])
    files = [mount.split(":")[0] for mount in mounts if mount.startswith(".")]
    assert [name for name in files if not (ROOT / name).exists()] == []


def test_our_settings_are_settings_floorwatch_knows() -> None:
    for name in OURS:
        env = {key: str(value) for key, value in SERVICES[name]["environment"].items()}
        config = load(ROOT / "docker/config/floorwatch.yaml", env)
        assert config.kafka.brokers == ["kafka:9092"]
        assert config.redis.url == "redis://redis:6379/0"
        assert config.metrics.port == 9464


def test_prometheus_scrapes_the_ports_our_services_listen_on() -> None:
    jobs = yaml.safe_load((ROOT / "prometheus/prometheus.yml").read_text())["scrape_configs"]
    dns = {job["job_name"]: job["dns_sd_configs"][0] for job in jobs if "dns_sd_configs" in job}
    worker, gateway = dns["floorwatch-worker"], dns["floorwatch-gateway"]
    assert worker["names"] == ["worker"]
    assert str(worker["port"]) == SERVICES["worker"]["environment"]["FLOORWATCH_METRICS__PORT"]
    assert gateway["names"] == ["gateway"]
    assert str(gateway["port"]) == SERVICES["gateway"]["environment"]["FLOORWATCH_GATEWAY__PORT"]


def test_no_secret_is_written_down() -> None:
    text = (ROOT / "docker-compose.yml").read_text() + (ROOT / "docker/alertmanager.yml").read_text()
    assert not re.search(r"(?i)(password|secret|token)\w*\s*[:=]\s*[\"']?\w", text.replace("GF_SECURITY", ""))


def test_the_dockerfile_runs_as_nobody_special_and_installs_by_hash() -> None:
    lines = (ROOT / "Dockerfile").read_text().splitlines()
    assert next(line for line in lines if line.startswith("FROM")).endswith(" AS build")
    last = max(i for i, line in enumerate(lines) if line.startswith("FROM"))
    assert any(re.fullmatch(r"USER [1-9]\d*", line) for line in lines[last:])
    assert any("--require-hashes" in line for line in lines[:last])
    assert 'ENTRYPOINT ["floorwatch"]' in lines


@pytest.mark.servers
def test_amtool_accepts_the_alertmanager_configuration() -> None:
    require("amtool")
    command = ["amtool", "check-config", "docker/alertmanager.yml"]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
