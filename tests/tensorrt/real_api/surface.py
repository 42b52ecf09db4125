"""Whether source code uses only what a version of TensorRT has.

Three looks, each at what the one before cannot see:

1. `trt.A.B` is followed through the bindings' names.
2. An object whose class is known (from an annotation, a constructor, or what a method is known to return)
   has each of the members asked of it.
3. Any other attribute must be the name of something: of a member of some TensorRT class in this version,
   of our own code, or of Python's or an imported module's. A name that only other versions have fails.
"""

from __future__ import annotations

import ast
import importlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

_BUILT_IN = (
    "", b"", (), [], {}, set(), 0, 0.0, memoryview(b""), OSError(), BaseException(), Path(),
    threading.Event(),
)  # fmt: skip


@dataclass(slots=True)
class Class:
    """A class of the bindings: its members, with the class each gives where that is known."""

    members: dict[str, str] = field(default_factory=dict)
    nested: dict[str, Class] = field(default_factory=dict)
    bases: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Surface:
    """All that a version's bindings have."""

    root: Class

    def member(self, owner: str, name: str) -> str | None:
        """The class that member gives, "" where unknown; None where there is no such member."""
        found = self.root.nested.get(owner)
        if found is None:
            return None
        if name in found.members:
            return found.members[name]
        return next((m for b in found.bases if (m := self.member(b, name)) is not None), None)

    def every_member(self) -> set[str]:
        """The names of all members of all classes."""
        pending, names = [self.root], set()
        while pending:
            one = pending.pop()
            names |= one.members.keys()
            pending += one.nested.values()
        return names


def surface_of(stub: str) -> Surface:
    """The surface that a stub file describes."""
    return Surface(_class(ast.parse(stub).body))


def _class(body: list[ast.stmt]) -> Class:
    made = Class()
    for node in body:
        if isinstance(node, ast.ClassDef):
            made.nested[node.name] = inner = _class(node.body)
            inner.bases = [ast.unparse(base) for base in node.bases]
            made.members[node.name] = ""
        elif isinstance(node, ast.FunctionDef):
            gives = "" if node.returns is None else ast.unparse(node.returns)
            made.members.setdefault(node.name, gives.removesuffix(" | None"))
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            made.members[node.target.id] = ""
    return made


def uses_tensorrt(source: str) -> bool:
    """Whether a module imports tensorrt, anywhere in it."""
    return any(
        isinstance(node, ast.Import) and any(alias.name == "tensorrt" for alias in node.names)
        for node in ast.walk(ast.parse(source))
    )


def own_names(package: Path) -> set[str]:
    """Every name that our code gives to something: functions, classes, fields, attributes, variables."""
    names: set[str] = set()
    for path in package.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.ClassDef):
                names.add(node.name)
            elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
                names.add(node.target.id)
            elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                names.add(node.id)
            elif isinstance(node, ast.Attribute) and ast.unparse(node) == f"self.{node.attr}":
                names.add(node.attr)
    return names


def problems(source: str, surface: Surface, ours: set[str]) -> list[str]:
    """What the source uses and this version does not have, one sentence each."""
    return list(_Reader(ast.parse(source), surface, ours).complaints())


class _Reader:
    def __init__(self, tree: ast.Module, surface: Surface, ours: set[str]) -> None:
        self._tree = tree
        self._surface = surface
        self._known = ours | _importable(tree) | surface.every_member()
        self._functions = {
            node.name: self._annotated(node.returns)
            for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)
        }  # fmt: skip
        self._variables: dict[str, str] = {}

    def complaints(self) -> Iterator[str]:
        self._learn_all(self._tree)
        yield from self._look(self._tree)

    def _look(self, scope: ast.AST) -> Iterator[str]:
        """Complaints about a scope, then about each function in it, which sees the scope's variables."""
        functions, nodes = _parted(scope)
        for node in nodes:
            complaint = self._complaint(node) if isinstance(node, ast.Attribute) else ""
            if complaint:
                yield f"line {node.lineno}: {complaint}"
        outer = dict(self._variables)
        for function in functions:
            self._learn_all(function)
            yield from self._look(function)
            self._variables = dict(outer)

    def _learn_all(self, scope: ast.AST) -> None:
        for node in _parted(scope)[1]:
            self._learn(node)

    def _complaint(self, node: ast.Attribute) -> str:
        chain = _chain(node)
        if chain is not None:
            return "" if self._exists(chain) else f"tensorrt has no {'.'.join(chain)}"
        owner = self._class_of(node.value)
        if owner:
            found = self._surface.member(owner, node.attr) is not None
            return "" if found else f"{owner} has no {node.attr}"
        return "" if node.attr in self._known else f"nothing has {node.attr}"

    def _exists(self, chain: list[str]) -> bool:
        at = self._surface.root
        for name in chain[:-1]:
            if name not in at.nested:
                return False
            at = at.nested[name]
        return chain[-1] in at.members

    def _learn(self, node: ast.AST) -> None:
        """Note the class of a variable: what is assigned to it, or what it is annotated with."""
        if isinstance(node, ast.arg) and self._annotated(node.annotation):
            self._variables[node.arg] = self._annotated(node.annotation)
        elif isinstance(node, ast.Assign) and self._class_of(node.value):
            for target in node.targets:
                self._variables[ast.unparse(target)] = self._class_of(node.value)
        elif isinstance(node, ast.comprehension):  # a new variable, of an unknown class
            self._variables.pop(ast.unparse(node.target), None)

    def _annotated(self, annotation: ast.expr | None) -> str:
        text = "" if annotation is None else ast.unparse(annotation).strip("'\"")
        name = text.removesuffix(" | None").removeprefix("trt.")
        return name if text.startswith("trt.") and name in self._surface.root.nested else ""

    def _class_of(self, node: ast.expr) -> str:
        """The class of TensorRT's that an expression is an instance of, "" where not known."""
        if isinstance(node, ast.Call):
            chain = _chain(node.func)
            if chain is not None and len(chain) == 1 and chain[0] in self._surface.root.nested:
                return chain[0]
            if isinstance(node.func, ast.Name):
                return self._functions.get(node.func.id, "")
            if isinstance(node.func, ast.Attribute):
                return self._given(node.func)
        if isinstance(node, ast.Name | ast.Attribute):
            known = self._variables.get(ast.unparse(node), "")
            if known or isinstance(node, ast.Name):
                return known
            return self._given(node)
        return ""

    def _given(self, node: ast.Attribute) -> str:
        owner = self._class_of(node.value)
        given = (self._surface.member(owner, node.attr) or "") if owner else ""
        return given if given in self._surface.root.nested else ""


def _parted(scope: ast.AST) -> tuple[list[ast.FunctionDef], list[ast.AST]]:
    """The functions in a scope, and everything else in it outside of them; its arguments included."""
    functions: list[ast.FunctionDef] = []
    nodes: list[ast.AST] = []
    pending = list(ast.iter_child_nodes(scope))
    while pending:
        node = pending.pop(0)
        if isinstance(node, ast.FunctionDef):
            functions.append(node)
        else:
            nodes.append(node)
            pending = [*ast.iter_child_nodes(node), *pending]
    return functions, nodes


def _chain(node: ast.expr) -> list[str] | None:
    """["A", "B"] for trt.A.B; None for what does not start at trt."""
    names: list[str] = []
    while isinstance(node, ast.Attribute):
        names.insert(0, node.attr)
        node = node.value
    return names if isinstance(node, ast.Name) and node.id == "trt" and names else None


def _importable(tree: ast.Module) -> set[str]:
    """The attributes of the built-in types, and of every module imported that is not TensorRT."""
    names = {name for value in _BUILT_IN for name in dir(value)}
    for node in ast.walk(tree):
        modules: list[str] = []
        if isinstance(node, ast.Import):
            modules = [a.name for a in node.names if a.name not in {"tensorrt", "pycuda.driver"}]
        elif isinstance(node, ast.ImportFrom) and node.module and node.module != "__future__":
            modules = [node.module] if not node.module.startswith("idrn_trt") else []
        for name in modules:
            module = importlib.import_module(name)
            names |= set(dir(module))
            for part in vars(module).values():
                names |= set(dir(part)) if isinstance(part, type) else set()
    return names
