"""JMESPath, bounded: an expression is checked when a mapping is loaded, and takes a bounded number of steps on any hook."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from jmespath.exceptions import JMESPathError, ParseError
from jmespath.functions import Functions
from jmespath.parser import Parser
from jmespath.visitor import Options, TreeInterpreter

Place = tuple[str, ...]
"""Names of members from the top of a hook; lists are stepped through, ``*`` is any name."""

MAX_CHARS = 500
MAX_NODES = 100
MAX_STEPS = 5_000
"""Steps of one evaluation: about 5 ms at worst."""

_CHARS_A_STEP = 256

_Node = dict[str, Any]


class BadExpression(ValueError):
    """An expression that cannot be used; ``hint`` says how to mend it."""

    def __init__(self, reason: str, hint: str) -> None:
        super().__init__(reason)
        self.hint = hint


class TooManySteps(Exception):
    """An expression would take too long on this hook."""


class NotKept(Exception):
    """An expression needs something of a hook whose content was not kept (``gateway.sources.mapped.kept``)."""


class CannotEvaluate(Exception):
    """A function got a value of a kind that it does not take. Nothing of the value is quoted."""


class Expression:
    """One expression of JMESPath, checked.

    Attributes:
        text: As written.
        places: What of the value it names: all that has to be kept so that it can be evaluated again.
        leads_to: Those of them from which its result is.
    """

    def __init__(self, text: str) -> None:
        """Read an expression.

        Raises:
            BadExpression: It is no JMESPath, is too long, or calls a function in a way that there is not.
        """
        self.text = text
        self._root = _parsed(text)
        self._counted = _Counted()  # one is enough: an evaluation is never interrupted by another
        nodes = list(_nodes(self._root))
        if len(nodes) > MAX_NODES:
            raise BadExpression(f"the expression has more than {MAX_NODES} parts", "write it shorter")
        for node in nodes:
            if node["type"] == "function_expression":
                _check_call(node)
        self.places, self.leads_to = _Places().of(self._root)

    def of(self, value: Any, spent: Callable[[int], None] = lambda _: None) -> Any:
        """Return what the expression gives for a value.

        Args:
            value: A hook or a part of one.
            spent: Told how many steps it took, whatever came of it.

        Raises:
            TooManySteps: It would take more than ``MAX_STEPS``.
            NotKept: It looks at what was not kept of a hook.
            CannotEvaluate: A function does not take what it is given.
        """
        counted = self._counted
        counted.left = MAX_STEPS
        try:
            return counted.visit(self._root, value)
        except JMESPathError:
            raise CannotEvaluate(f"a function in {self.text} does not take what it is given") from None
        except (TypeError, ValueError, OverflowError, RecursionError, ArithmeticError, AttributeError) as error:
            raise CannotEvaluate(f"{self.text} cannot be evaluated ({type(error).__name__})") from None
        finally:
            spent(MAX_STEPS - counted.left)

    def holds(self, value: Any, spent: Callable[[int], None] = lambda _: None) -> bool:
        """Tell whether the expression is true of a value, as JMESPath says: empty texts, lists and objects are false.

        Raises:
            TooManySteps, NotKept, CannotEvaluate: As ``of``.
        """
        found = _looked_at(self.of(value, spent))
        return found is not None and found is not False and found not in ("", [], {})


class _Spent(Functions):
    """JMESPath's functions, where long arguments cost more steps."""

    def __init__(self, counted: _Counted) -> None:
        super().__init__()
        self._counted = counted

    def call_function(self, function_name: str, resolved_args: list[Any]) -> Any:
        self._counted.spend(sum(_cost(_looked_at(one)) for one in resolved_args))
        return super().call_function(function_name, resolved_args)


class _Counted(TreeInterpreter):
    """JMESPath's interpreter, with a bound on its steps."""

    def __init__(self) -> None:
        self.left = MAX_STEPS
        super().__init__(Options(custom_functions=_Spent(self)))

    def spend(self, steps: int) -> None:
        """Take steps of those that are left. Raises TooManySteps."""
        self.left -= steps
        if self.left < 0:
            raise TooManySteps

    def visit(self, node: _Node, *args: Any, **kwargs: Any) -> Any:
        self.spend(1)
        return super().visit(node, *args, **kwargs)

    def visit_flatten(self, node: _Node, value: Any) -> Any:
        found = super().visit_flatten(node, value)
        self.spend(len(found or ()) // 16)
        return found

    def visit_value_projection(self, node: _Node, value: Any) -> Any:
        base, right = node["children"]
        held = {"type": "literal", "value": _looked_at(self.visit(base, value))}
        return super().visit_value_projection({**node, "children": [held, right]}, value)

    def visit_comparator(self, node: _Node, value: Any) -> Any:
        """Compare; what compares long lists or texts costs more, as a function does."""
        found = [_looked_at(self.visit(one, value)) for one in node["children"]]
        self.spend(sum(_cost(one) for one in found))
        literals = [{"type": "literal", "value": one, "children": []} for one in found]
        return super().visit_comparator({**node, "children": literals}, value)

    def visit_not_expression(self, node: _Node, value: Any) -> Any:
        found = _looked_at(self.visit(node["children"][0], value))
        return super().visit_not_expression({"children": [{"type": "literal", "value": found}]}, value)

    def _is_false(self, value: Any) -> bool:
        return bool(super()._is_false(_looked_at(value)))


REMOVED = "_redacted"
"""The name by which an object stands for what was not kept."""


def _looked_at(value: Any) -> Any:
    """Return a value that an expression looks at. Raises NotKept where it only stands for one."""
    if isinstance(value, dict) and REMOVED in value:
        raise NotKept
    return value


def _cost(value: Any) -> int:
    """Return how many steps a value costs that is looked through: one for each value in it, and for its texts."""
    if isinstance(value, str):
        return 1 + len(value) // _CHARS_A_STEP
    total, rest = 0, [value]
    while rest and total <= MAX_STEPS:
        one = rest.pop()
        total += 1
        if isinstance(one, str):
            total += len(one) // _CHARS_A_STEP
        elif isinstance(one, list):
            rest += one
        elif isinstance(one, dict):
            rest += one.values()
    return total


def _parsed(text: str) -> _Node:
    hint = "see https://jmespath.org; a constant text is written 'so', in YAML \"'so'\""
    if len(text) > MAX_CHARS:
        raise BadExpression(f"the expression has more than {MAX_CHARS} characters", "write it shorter")
    if not text.strip():
        raise BadExpression("the expression is empty", hint)
    try:
        root: _Node = Parser().parse(text).parsed
    except ParseError as error:
        place = getattr(error, "lex_position", None)
        where = f" at character {place + 1}" if isinstance(place, int) else ""
        raise BadExpression(f"this is no JMESPath{where}", hint) from None
    except (JMESPathError, RecursionError, ValueError):
        raise BadExpression("this is no JMESPath", hint) from None
    if root["type"] == "expref":
        raise BadExpression("an & outside of a function gives no value", hint)
    return root


_THROUGH = frozenset(("sort_by", "max_by", "min_by", "map", "reverse", "not_null", "length", "keys", "type"))
"""Functions that name nothing of what they are given: they pass it on, or look at what is always kept of it."""


def _nodes(node: _Node) -> Iterator[_Node]:
    yield node
    for one in node.get("children", ()):
        if isinstance(one, dict):  # a slice's are numbers
            yield from _nodes(one)


def _check_call(node: _Node) -> None:
    """Raise BadExpression where there is no such function, or it takes another number of arguments."""
    name, given = node["value"], len(node["children"])
    known = Functions.FUNCTION_TABLE
    if name not in known:
        raise BadExpression(f"there is no function {name}", f"there are: {', '.join(sorted(known))}")
    signature = known[name]["signature"]
    variadic = bool(signature) and bool(signature[-1].get("variadic"))
    if given < len(signature) or (given > len(signature) and not variadic):
        least = "at least " if variadic else ""
        raise BadExpression(f"{name} takes {least}{len(signature)} arguments, not {given}", "see https://jmespath.org")


class _Places:
    """Finds what an expression names, without a value: it follows every way that the expression may go."""

    def __init__(self) -> None:
        self._named: set[Place] = set()

    def of(self, root: _Node) -> tuple[frozenset[Place], frozenset[Place]]:
        """Return the places that an expression names, and those of its result; ``()`` is the whole value."""
        result = self._visit(root, frozenset({()}))
        return frozenset(self._named | result), result

    def _visit(self, node: _Node, at: frozenset[Place]) -> frozenset[Place]:
        """Return where an expression leads from some places, and note what it looks at on the way."""
        kind, children = node["type"], node.get("children", [])
        if kind == "field":
            return frozenset((*place, node["value"]) for place in at)
        if kind in ("identity", "current", "index", "slice"):
            return at
        if kind in ("subexpression", "index_expression", "pipe", "projection", "flatten"):
            for one in children:
                at = self._visit(one, at)
            return at
        if kind == "value_projection":
            inside = frozenset((*place, "*") for place in self._visit(children[0], at))
            return self._visit(children[1], inside)
        if kind == "filter_projection":
            base, right, condition = children
            inside = self._visit(base, at)
            self._named |= self._visit(condition, inside)
            return self._visit(right, inside)
        if kind == "function_expression":
            return self._call(node["value"], children, at)
        found = [self._visit(one, at) for one in children]
        if kind in ("comparator", "not_expression", "multi_select_list", "multi_select_dict"):
            self._named.update(*found)
        return frozenset().union(*found) if kind not in ("comparator", "not_expression") else frozenset()

    def _call(self, name: str, arguments: list[_Node], at: frozenset[Place]) -> frozenset[Place]:
        plain = [self._visit(one, at) for one in arguments if one["type"] != "expref"]
        found = frozenset[Place]().union(*plain)
        if name not in _THROUGH:
            self._named |= found
        for one in arguments:
            if one["type"] == "expref":
                each = self._visit(one["children"][0], found)
                self._named |= each
                found = each if name == "map" else found
        return found if name not in ("length", "keys", "type") else frozenset()
