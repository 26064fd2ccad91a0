"""YAML text to plain data, remembering the line and column of every key and value.

The scalars are those of YAML 1.2's core schema: in PyYAML's 1.1 the market ``no`` is False and the shift ``22:30`` is
the number 1350.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

import yaml

Path = tuple[str | int, ...]
"""Where a value stands: mapping keys and list indexes from the top."""

MAX_DEPTH = 32
MAX_NODES = 100_000
"""Values and names in a file."""
MAX_REPEATED = 10_000
"""Values that aliases (``*name``) repeat, all together."""
MAX_DIGITS = 40
TO_LINE_END = 1_000_000


@dataclass(frozen=True)
class SourceSpan:
    """A piece of one source line; line and column from 0, width at least 1 (``TO_LINE_END`` if it goes on below)."""

    line: int
    column: int
    width: int


@dataclass(frozen=True)
class YamlProblem:
    """A fault of the YAML itself."""

    span: SourceSpan
    reason: str
    hint: str | None


@dataclass
class Document:
    """Data with the places of its keys and values.

    Attributes:
        data: Plain dicts (text keys), lists and scalars.
        keys: Span of each mapping key, by path.
        values: Span of each value, by path.
        problems: What is wrong with the YAML itself.
    """

    data: Any = None
    keys: dict[Path, SourceSpan] = field(default_factory=dict)
    values: dict[Path, SourceSpan] = field(default_factory=dict)
    problems: list[YamlProblem] = field(default_factory=list)


class _TooMuch(Exception):
    """The file is nested too deep or holds too many values."""

    def __init__(self, reason: str, mark: yaml.Mark) -> None:
        super().__init__(reason)
        self.problem = YamlProblem(SourceSpan(mark.line, mark.column, 1), reason, "is this the right file?")


class _CoreLoader(yaml.SafeLoader):
    """SafeLoader with the scalars of YAML 1.2's core schema, and bounds: it reads a tree by recursion."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._depth = 0
        self.composed = 0

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        """Compose one node and what is below it.

        Raises:
            _TooMuch: The bounds are passed.
        """
        self._depth += 1
        self.composed += 1
        try:
            if self._depth > MAX_DEPTH or self.composed > MAX_NODES:
                deep = f"the file is nested deeper than {MAX_DEPTH} levels"
                said = deep if self._depth > MAX_DEPTH else f"the file holds more than {MAX_NODES:,} values"
                raise _TooMuch(said, self.peek_event().start_mark)  # type: ignore[no-untyped-call]
            return super().compose_node(parent, index)
        finally:
            self._depth -= 1


_CoreLoader.yaml_implicit_resolvers = {}
for _tag, _pattern, _first in (
    ("bool", r"^(?:true|True|TRUE|false|False|FALSE)$", "tTfF"),
    ("null", r"^(?:~|null|Null|NULL|)$", ["~", "n", "N", ""]),
    ("int", r"^[-+]?[0-9]+$", "-+0123456789"),
    ("float", r"^[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?$", "-+.0123456789"),
    ("merge", r"^<<$", "<"),
):
    _CoreLoader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(_pattern), list(_first))

_STANDARD = {f"tag:yaml.org,2002:{name}" for name in ("bool", "null", "int", "float", "str", "map", "seq", "merge")}


def read_yaml(text: str) -> Document:
    """Parse one YAML document.

    Args:
        text: The file's text.

    Returns:
        The document. Where ``problems`` is not empty the data is what could still be read.
    """
    document = Document()
    try:
        loader = _CoreLoader(text)
    except yaml.reader.ReaderError as error:
        document.problems.append(_reader_problem(text, error))
        return document
    try:
        node = loader.get_single_node()
    except _TooMuch as error:
        document.problems.append(error.problem)
        return document
    except yaml.MarkedYAMLError as error:
        document.problems.append(_syntax_problem(text, error))
        return document
    finally:
        loader.dispose()
    if node is not None:
        builder = _Builder(document, loader.composed)
        document.data = builder.build(node, (), 0, frozenset())
        if builder.full:
            document.data = None  # what is there is not the whole file
    return document


def _span(node: yaml.Node) -> SourceSpan:
    start, end = node.start_mark, node.end_mark
    width = end.column - start.column if end.line == start.line else TO_LINE_END
    return SourceSpan(start.line, start.column, max(1, width))


_SYNTAX: tuple[tuple[str, str, str], ...] = (
    ("'\\t'", "a tab cannot indent or separate YAML", "use spaces"),
    ("expected <block end>", "this line is indented unlike its neighbours", "line it up with the entries above"),
    ("expected a single document", "a second document begins here", "keep one document a file: remove the --- line"),
    ("undefined alias", "an alias (*name) that is not defined", "put quotes around a value that starts with *"),
    ("could not find expected ':'", 'a line has no ":" after its name', "write name: value"),
    ("mapping values are not allowed", 'a second ":" in one value', "put quotes around a value that holds a colon"),
)
"""What PyYAML says (part of it), what is wrong, how to mend it."""


def _syntax_problem(text: str, error: yaml.MarkedYAMLError) -> YamlProblem:
    mark = error.problem_mark or error.context_mark
    span = SourceSpan(mark.line, mark.column, 1) if mark else SourceSpan(0, 0, 1)
    said = error.problem or "cannot be read"
    lines = text.splitlines()
    before = lines[span.line][: span.column].strip() if span.line < len(lines) else ""
    if "mapping values are not allowed" in said and re.fullmatch(r"[\w.-]+", before):
        # The first ":" of its line: not the value is at fault, but that the line seems to go on with the one above.
        said = "expected <block end>"
    for part, reason, hint in _SYNTAX:
        if part in said:
            return YamlProblem(span, reason, hint)
    return YamlProblem(span, f"not YAML: {said}", "check the line and the one above")


def _reader_problem(text: str, error: yaml.reader.ReaderError) -> YamlProblem:
    position = min(int(error.position), len(text))
    line = text.count("\n", 0, position)
    column = position - (text.rfind("\n", 0, position) + 1)
    code = error.character if isinstance(error.character, int) else ord(error.character)
    reason = f"the character U+{code:04X} is not allowed in YAML"
    return YamlProblem(SourceSpan(line, column, 1), reason, "remove it; save the file as UTF-8 text")


_HALF = (
    "an escape stands for half a character",
    "write the character itself, or \\U and eight digits for both halves together",
)


def _whole(text: str) -> bool:
    """Tell whether a text has no half of a surrogate pair, which an escape in quotes makes and no file can hold."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


class _Builder:
    """Turns nodes into data, filling a document's places and problems."""

    def __init__(self, document: Document, nodes: int) -> None:
        self._doc = document
        self._left = nodes + MAX_REPEATED
        self.full = False

    def build(self, node: yaml.Node, path: Path, depth: int, above: frozenset[int]) -> Any:
        """Return the data of a node at a path; ``above`` are the ids of the nodes that enclose it."""
        self._left -= 1
        if self.full:
            return None
        self.full = self._left < 0 or depth > MAX_DEPTH
        if self.full or id(node) in above:
            self._problem(node, "the file is nested or repeated beyond reason", "remove aliases (*name) that repeat")
            return None
        self._doc.values[path] = _span(node)
        if node.tag not in _STANDARD:
            self._problem(node, f"the tag {node.tag} is not allowed", "remove the ! tag")
            return None
        if isinstance(node, yaml.ScalarNode) and not _whole(str(node.value)):
            self._problem(node, *_HALF)
            return None
        inside = above | {id(node)}
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, path, depth, inside)
        if isinstance(node, yaml.SequenceNode):
            return [self.build(item, (*path, i), depth + 1, inside) for i, item in enumerate(node.value)]
        return self._scalar(node)

    def _mapping(self, node: yaml.MappingNode, path: Path, depth: int, above: frozenset[int]) -> dict[str, Any]:
        data: dict[str, Any] = {}
        first: dict[str, SourceSpan] = {}
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                self._problem(key, "a name must be plain text", "write name: value")
                continue
            if key.tag.endswith(":merge"):
                self._problem(key, "merge keys (<<) are not supported", "write the settings out")
                continue
            name = str(key.value)
            if not _whole(name):
                self._problem(key, *_HALF)
                continue
            if name in first:
                where = first[name].line + 1
                self._problem(key, f'"{name}" stands twice (first on line {where})', "merge the two, or keep one")
                continue
            first[name] = self._doc.keys[(*path, name)] = _span(key)
            data[name] = self.build(value, (*path, name), depth + 1, above)
        return data

    @staticmethod
    def _scalar(node: yaml.Node) -> Any:
        text = str(node.value)
        kind = node.tag.rpartition(":")[2]
        if kind == "null":
            return None
        if kind == "bool":
            return text.lower() == "true"
        if kind == "int" and len(text) <= MAX_DIGITS:
            return int(text)
        if kind == "float":
            return float(text)
        return text

    def _problem(self, node: yaml.Node, reason: str, hint: str) -> None:
        self._doc.problems.append(YamlProblem(_span(node), reason, hint))
