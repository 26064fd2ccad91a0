"""The layers contract is over everything, has no exceptions, and ARCHITECTURE.md shows it. ``make check`` holds the code against it."""

from __future__ import annotations

from fnmatch import fnmatchcase

from tests.suite.layers import PAGE, ROOT, contracts, layers, project, renewed

SHIPPED = project()["tool"]["setuptools"]["packages"]["find"]["include"]


def _modules() -> list[str]:
    """Every module that is shipped, but for the empty packages ``streams`` and ``floorwatch`` themselves."""
    tops = [path for path in ROOT.iterdir() if path.is_dir() and any(fnmatchcase(path.name, one) for one in SHIPPED)]
    files = [file.relative_to(ROOT) for top in tops for file in top.rglob("*.py")]
    names = [".".join(file.with_suffix("").parts).removesuffix(".__init__") for file in files]
    return sorted(name for name in names if name not in ("streams", "floorwatch"))


def test_every_module_stands_in_one_layer() -> None:
    named = [name for layer in layers() for name in layer]
    assert len(named) == len(set(named))
    places = {module: [name for name in named if f"{module}.".startswith(f"{name}.")] for module in _modules()}
    assert {module: found for module, found in places.items() if len(found) != 1} == {}
    roots = project()["tool"]["importlinter"]["root_packages"]
    assert {name.partition(".")[0] for name in named} == set(roots)


def test_the_packages_that_hold_all_layers_are_empty() -> None:
    for package in ("streams", "floorwatch"):
        text = (ROOT / package / "__init__.py").read_text(encoding="utf-8")
        assert "import" not in text  # what stood there would be in no layer


def test_nothing_is_excepted() -> None:
    settings = project()["tool"]["importlinter"]
    assert not settings.get("exclude_type_checking_imports")
    assert [one["name"] for one in contracts() if one.get("ignore_imports") or one.get("exhaustive_ignores")] == []
    assert "acyclic_siblings" in {one["type"] for one in contracts()}


def test_architecture_shows_the_contract() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert renewed(page) == page, "run: python -m tests.suite.layers"


def test_the_picture_follows_the_contract() -> None:
    page = PAGE.read_text(encoding="utf-8")
    first = layers()[0][0]
    assert first in page
    assert renewed(page.replace(f"│ {first} ", "│ elsewhere ")) == page
