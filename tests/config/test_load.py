"""Loading: defaults, environment, secret files."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from pydantic import BaseModel

from alerts.kinds.registry import TOLD_ELSEWHERE
from alerts.rules_file import default_rules
from config.errors import ConfigErrors
from config.fault_text import reason_and_hint
from floorwatch.analysis.people.people_policy import PeoplePolicy
from floorwatch.analysis.roster.presence import RosterPolicy
from floorwatch.settings.load import load, loads
from floorwatch.settings.policies import core_policy, people_policy, roster_policy
from floorwatch.settings.render import check, render_defaults, show
from floorwatch.settings.schema import FloorwatchConfig

ROOT = Path(__file__).parents[2]


def of(text: str, env: dict[str, str] | None = None, base: Path = Path()) -> FloorwatchConfig:
    return loads(text, env or {}, name="test.yaml", base=base)


def faults(text: str, env: dict[str, str] | None = None, base: Path = Path()) -> str:
    with pytest.raises(ConfigErrors) as caught:
        of(text, env, base)
    return str(caught.value)


def test_the_commented_defaults_load_to_exactly_the_defaults() -> None:
    assert load(ROOT / "config" / "defaults.yaml", {}) == FloorwatchConfig() == load(None, {})


def test_the_commented_defaults_are_complete_and_current() -> None:
    assert check(ROOT) == [], "run: make generate"
    described = [line for line in render_defaults().splitlines() if line.strip().startswith("#")]
    settings = [line for line in render_defaults().splitlines() if ":" in line and not line.strip().startswith("#")]
    assert len(described) >= len([line for line in settings if not line.strip().startswith("-")])


def test_every_setting_says_why_its_default_is_what_it_is() -> None:
    def undescribed(model: type[BaseModel], path: str) -> list[str]:
        found = []
        for name, info in model.model_fields.items():
            found += [] if info.description else [f"{path}{name}"]
            found += undescribed(type(info.default), f"{path}{name}.") if isinstance(info.default, BaseModel) else []
        return found

    assert undescribed(FloorwatchConfig, "") == []


def test_an_empty_file_and_a_file_of_comments_are_the_defaults() -> None:
    assert of("") == of("# nothing\n") == FloorwatchConfig()


def test_yaml_scalars_are_those_of_1_2() -> None:
    config = of("tables: {windows: [1h, shift], shifts: [22:30, 06:30], zones: {NO: Europe/Oslo, no: Europe/Oslo}}")
    assert config.tables.shifts == ["22:30", "06:30"]
    assert set(config.tables.zones) == {"NO", "no"}
    assert of("kafka: {group: no}").kafka.group == "no"


@pytest.mark.parametrize(
    ("written", "seconds"), [("300", 300), ("300s", 300), ("5m", 300), ("250ms", 0.25), ("1h30m", 5400), ("0.5", 0.5)]
)
def test_durations_take_numbers_and_units(written: str, seconds: float) -> None:
    section = "future_tolerance_s" if seconds < 1 or seconds > 300 else "idle_timeout_s"
    assert getattr(of(f"engine: {{{section}: {written}}}").engine, section) == seconds


def test_scopes_are_put_in_the_order_of_the_dimensions() -> None:
    assert of("tables: {scopes: [[], [queue, vendor]]}").tables.scopes == [(), ("vendor", "queue")]


def test_narrowing_the_scopes_does_not_make_the_other_defaults_faults() -> None:
    assert of("tables: {scopes: [[], [queue]]}").tables.scopes == [(), ("queue",)]


def test_environment_overrides_the_file() -> None:
    env = {
        "FLOORWATCH_KAFKA__BROKERS": "a:1, b:2",
        "FLOORWATCH_KAFKA__PARTITIONS": "12",
        "FLOORWATCH_TABLES__SCOPES": '[[], ["queue"]]',
        "FLOORWATCH_TABLES__ZONES__KUL": "Asia/Singapore",
        "FLOORWATCH_TARGETS__SLA_CLASSES__NORMAL": "2h",
        "FLOORWATCH_ENGINE__IDLE_TIMEOUT_S": "",
        "FLOORWATCH_SERVICE_HOST": "10.0.0.1",
        "HOME": "x",
    }
    config = of("kafka: {partitions: 8, group: mine}\nengine: {idle_timeout_s: 7}", env)
    assert config.kafka.brokers == ["a:1", "b:2"]
    assert (config.kafka.partitions, config.kafka.group) == (12, "mine")
    assert config.tables.scopes == [(), ("queue",)]
    assert config.tables.zones["KUL"] == "Asia/Singapore"
    assert config.tables.zones["LIS"] == "Europe/Lisbon", "an entry of the environment must not drop the other entries"
    assert config.targets.sla_classes == {"priority": 3600, "normal": 7200}
    assert config.engine.idle_timeout_s == 7, "an empty variable counts as not set"


def test_an_entry_of_a_list_can_be_overridden() -> None:
    config = of("kafka: {brokers: [a:1, b:2]}", {"FLOORWATCH_KAFKA__BROKERS__1": "c:3"})
    assert config.kafka.brokers == ["a:1", "c:3"]


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("FLOORWATCH_KAFKA__PARTITIONSS", "1", "did you mean partitions?"),
        ("FLOORWATCH_KAFKKA__PARTITIONS", "1", "did you mean kafka?"),
        ("FLOORWATCH_KAFKA__PARTITIONS", "x", 'must be a whole number, not "x"'),
        ("FLOORWATCH_KAFKA__PARTITIONS__X", "1", "is one value, not a group"),
        ("FLOORWATCH_KAFKA__BROKERS__7", "a:1", "7 is not an entry of a list"),
        ("FLOORWATCH_TABLES__SCOPES", "[[", "not JSON"),
        ("FLOORWATCH_KAFKA__", "1", "a part of the name is empty"),
    ],
)
def test_a_fault_of_a_variable_names_it(variable: str, value: str, said: str) -> None:
    message = faults("", {variable: value})
    assert f"environment variable {variable}" in message
    assert said in message


def test_a_fault_beside_an_override_is_placed_in_the_file() -> None:
    message = faults("kafka:\n  partitions: 4\n  group: 5\n", {"FLOORWATCH_KAFKA__PARTITIONS": "x"})
    assert "test.yaml:3:10: kafka.group" in message
    assert "environment variable FLOORWATCH_KAFKA__PARTITIONS" in message


SASL = "kafka: {security: {protocol: SASL_SSL, username: bob, password_file: pw}}"


def test_a_secret_is_read_from_its_file_without_the_newline(tmp_path: Path) -> None:
    (tmp_path / "pw").write_text(" hunter2 \r\n")
    password = of(SASL, base=tmp_path).kafka.security.password
    assert password is not None
    assert password.get_secret_value() == " hunter2 "


def test_a_secret_of_the_environment_beats_the_file(tmp_path: Path) -> None:
    env = {"FLOORWATCH_KAFKA__SECURITY__PASSWORD": "from-env"}
    password = of(SASL, env, tmp_path).kafka.security.password
    assert password is not None
    assert password.get_secret_value() == "from-env"


def test_a_secret_file_of_the_environment_beats_a_secret_in_the_file(tmp_path: Path) -> None:
    (tmp_path / "pw").write_text("from-file\n")
    config = of("redis: {password: old}", {"FLOORWATCH_REDIS__PASSWORD_FILE": str(tmp_path / "pw")})
    assert config.redis.password is not None
    assert config.redis.password.get_secret_value() == "from-file"


@pytest.mark.parametrize(
    ("content", "said"),
    [(None, "no such file"), (b"\n", "is empty"), (b"\xff\xfe", "not UTF-8"), (b"x" * 70_000, "larger")],
)
def test_an_unreadable_secret_file_says_why(tmp_path: Path, content: bytes | None, said: str) -> None:
    if content is not None:
        (tmp_path / "pw").write_bytes(content)
    message = faults(SASL, base=tmp_path)
    assert said in message
    assert "1 fault" in message


def test_a_password_in_the_redis_url_moves_to_the_secret() -> None:
    config = of("redis: {url: 'redis://bob:hunt%40er2@h:1/0'}")
    assert config.redis.url == "redis://bob@h:1/0"
    assert config.redis.password is not None
    assert config.redis.password.get_secret_value() == "hunt@er2"


def test_no_way_of_printing_shows_a_secret(tmp_path: Path) -> None:
    (tmp_path / "pw").write_text("hunter2")
    config = of(SASL + "\nredis: {url: 'redis://:hunter2@h:1/0'}", base=tmp_path)
    for text in (str(config), repr(config), str(show(config)), config.model_dump_json()):
        assert "hunter2" not in text


@pytest.mark.parametrize(
    "text",
    [
        "kafka: {security: {password: [hunter2]}}",
        "kafka: {security: {pasword: hunter2, protocol: X}}",
        "kafka: {group: 5, security: {password: hunter2}}",
        "redis: {url: 'http://a:hunter2@b'}",
        "redis:\n  password: hunter2\n bad",
        "redis: {password: hunter2",
    ],
)
def test_no_diagnostic_shows_a_secret(text: str) -> None:
    assert "hunter2" not in faults(text)


def test_a_missing_file_and_a_binary_file_are_said_plainly(tmp_path: Path) -> None:
    with pytest.raises(ConfigErrors, match=r"no such file[\s\S]*config init"):
        load(tmp_path / "absent.yaml", {})
    (tmp_path / "binary.yaml").write_bytes(b"kafka:\n  group: \xff\n")
    with pytest.raises(ConfigErrors, match=r"binary\.yaml:2:10: a byte here is not UTF-8"):
        load(tmp_path / "binary.yaml", {})


def test_the_configuration_is_frozen() -> None:
    with pytest.raises(ValueError, match="frozen"):
        FloorwatchConfig().kafka.partitions = 5


def test_secrets_of_other_packages_take_files_too(tmp_path: Path) -> None:
    (tmp_path / "hook").write_text("https://hunter2.example.net/x\n")
    config = of("alerts: {channels: {ops: {type: webhook, url_file: hook}}, routes: {default: [ops]}}", base=tmp_path)
    ops = config.alerts.channels["ops"]
    assert ops.type == "webhook"
    assert ops.url.get_secret_value() == "https://hunter2.example.net/x"
    assert "hunter2" not in str(show(config))


def test_without_rules_of_its_own_a_floor_has_the_shipped_ones() -> None:
    shipped = of("").rules
    assert {rule.name for rule in shipped} > {"accuracy-low-floor", "backlog-age-queue"}
    own = of("alerts: {rules: [{name: mine, kind: backlog_age}]}").rules
    assert [rule.name for rule in own] == ["mine"]
    assert of("alerts: {rules: []}").rules == ()


def test_a_rule_may_watch_any_window_that_is_kept() -> None:
    config = of(
        "tables: {windows: [30m, 1h, 24h, day, shift], shifts: [07:00]}\n"
        "metrics: {window: 60m}\n"
        "alerts:\n"
        "  rules:\n"
        "  - {name: a, kind: accuracy_low, window: 1800s, reference: 1d}\n"
        "  - {name: b, kind: sla_attainment, window: day}\n"
        "  - {name: c, kind: backlog_age, window: shift, target: 1h30m}\n"
        "  - {name: d, kind: sla_breach_predicted, window: 60m}\n"
    )
    assert [rule.window for rule in config.rules] == ["30m", "day", "shift", "1h"]
    assert (config.rules[0].reference, config.rules[2].target, config.shown_window) == ("24h", 5400, "1h")
    assert {detector.window for detector in core_policy(config).detectors} == {"30m", "day"}


@pytest.mark.parametrize("written", ["1h30m", "90m", "5400", "1.5h"])
def test_windows_are_written_as_durations_are(written: str) -> None:
    config = of(f"tables: {{windows: [1h, {written}]}}\nalerts: {{rules: []}}")
    assert core_policy(config).windows[1].size_ms == 5_400_000


def test_shipped_rules_are_in_force_where_the_tables_keep_what_they_watch() -> None:
    every = {rule.name for rule in default_rules().rules}
    usual = of("")
    assert every - {rule.name for rule in usual.rules} == {"exposure-cap-labeler"}
    assert (
        usual.alerts.model_copy(update={"rules": usual.rules}).faults(
            usual.tables.windows, usual.tables.scopes, usual.people.exposure
        )
        == []
    )
    weights = "people: {exposure: {cap_s: 3h, weights: {gore: 2}, other_weight: 0.5}}"
    with_pairs = of(f"tables: {{scopes: {[*map(list, usual.tables.scopes), ['policy', 'labeler']]}}}\n{weights}")
    (cap,) = [rule for rule in with_pairs.rules if rule.kind == "exposure_cap"]
    assert (cap.target, cap.weights, cap.other_weight) == (10_800, {"gore": 2}, 0.5)
    assert {rule.name for rule in with_pairs.rules} == every
    assert {rule.kind for rule in of("tables: {windows: [1h], scopes: [[queue]]}\nmetrics: {window: 1h}").rules} == {
        "sla_breach_predicted",
        "backlog_age",
    }


def test_a_message_that_repeats_a_secret_is_withheld() -> None:
    error = {"type": "value_error", "loc": ("x",), "input": "hunter2", "msg": "Value error, hunter2 is no URL"}
    assert reason_and_hint(error, [], secret=True)[0] == "is not valid"
    assert reason_and_hint(error, [], secret=False)[0] == "hunter2 is no URL"
    harmless = {**error, "msg": "Value error, must begin with https://"}
    assert reason_and_hint(harmless, [], secret=True)[0] == "must begin with https://"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("kafka: {events_kept_days: 10}", "10 days are less than the correction horizon and a day"),
        ("kafka: {max_message_bytes: 1048576}", "does not fit into kafka.max_message_bytes"),
    ],
)
def test_topics_must_hold_what_goes_through_them(text: str, said: str) -> None:
    with pytest.raises(ConfigErrors) as caught:
        loads(text, {}, name="f.yaml", base=Path())
    assert said in caught.value.render()


@pytest.mark.parametrize("kind", sorted(TOLD_ELSEWHERE))
def test_a_kind_that_no_table_feeds_is_refused_with_what_to_do_instead(kind: str) -> None:
    with pytest.raises(ConfigErrors, match=rf"there is no kind {kind}: .*\n(.*\n)*  hint: .* instead"):
        of(f"alerts: {{rules: [{{name: mine, kind: {kind}}}]}}")
    assert kind not in {rule.kind for rule in of("").rules}


def test_people_and_roster_are_lowered_with_their_targets() -> None:
    config = of(
        "targets: {accuracy_ratio: 0.9}\n"
        "people: {min_audits: 40, rush_ratio: 0.8, settle_s: 3d, exposure: {cap_s: 3h, weights: {gore: 1.5}, other_weight: 0}}\n"
        "roster: {away_s: 20m, occupancy_ratio: 0.8}"
    )
    people, roster = people_policy(config), roster_policy(config)
    assert (people.accuracy_target_ratio, people.min_audits, people.settle_ms) == (0.9, 40, 3 * 86_400_000)
    assert people.rush_shift_log == math.log(0.8)
    assert (people.exposure_cap_ms, people.weight_milli("gore"), people.weight_milli("spam")) == (10_800_000, 1500, 0)
    assert (roster.away_ms, roster.occupancy_target_permille) == (1_200_000, 800)
    assert people_policy(of("people: {accuracy_target_ratio: 0.97}")).accuracy_target_ratio == 0.97


def test_unset_people_and_roster_are_the_core_s_own_defaults() -> None:
    assert people_policy(of("")) == PeoplePolicy(exposure_configured=False)
    assert roster_policy(of("")) == RosterPolicy()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("people: {exposure: {other_weight: 0}}", "with no weight above 0 nothing is ever measured"),
        ("people: {exposure: {pace_s: 3h, window_s: 2h}}", "pace_s: must not be longer than window_s"),
        ("people: {exposure: {cap_s: 0}}", "cap_s"),
        ("people: {min_audits: 0}", "min_audits"),
        ("people: {rush_ratio: 90}", "write 0.9 for 90 percent"),
        ("people: {min_audit: 3}", "min_audits"),
        ("roster: {occupancy_ratio: 1.2}", "must be between 0 and 1"),
        (
            "alerts: {rules: [{name: a, kind: exposure_cap}]}",
            "nothing says what counts as exposure, so the rule would never fire",
        ),
        (
            "alerts: {rules: [{name: a, kind: exposure_cap, weights: {gore: 1}}]}",
            "[policy, labeler] is not among tables.scopes",
        ),
    ],
)
def test_wrong_people_settings_are_explained(text: str, said: str) -> None:
    with pytest.raises(ConfigErrors) as caught:
        of(text)
    assert said in caught.value.render()


def test_people_and_alerts_weigh_exposure_alike() -> None:
    """``people.exposure`` is the one source of weights: what an alert counts is what ``floorwatch people`` shows."""
    weights = "people: {exposure: {cap_s: 3h, weights: {gore: 2, spam: 0.25}, other_weight: 0.5}}"
    config = of(f"tables: {{scopes: {[*map(list, of('').tables.scopes), ['policy', 'labeler']]}}}\n{weights}")
    (cap,) = [rule for rule in config.rules if rule.kind == "exposure_cap"]
    shown = people_policy(config)
    for name in ("gore", "spam", "any other"):
        assert (cap.weights or {}).get(name, cap.weight_of_others) * 1000 == shown.weight_milli(name)
    assert (cap.target * 1000, cap.ahead * 1000) == (shown.exposure_cap_ms, shown.exposure_ahead_ms)
