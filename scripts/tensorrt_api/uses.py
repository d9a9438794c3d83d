"""Every use of TensorRT in a source file, held against one version's interface.

Followed are the module (`import tensorrt as trt`) and names taken from it, names and attributes (a class's fields too) that are
assigned, annotated, looped over or returned with one of its types, and classes that inherit from its own. What stands under
`if …is_11:` is held against TensorRT 11 alone, its `else:` against 10 alone. Types that come through other modules of ours are
not followed: mypy sees those, with the stub of either version.
"""

import ast
from dataclasses import dataclass, field

from tensorrt_api.interface import Class, Function, Interface, Kind

_MODULE = "tensorrt"
_MARK = "is_11"
_ALWAYS = {"__version__", "__init__", "__name__"}
_EACH = "each:"


@dataclass
class Scope:
    """names: variable -> the type of its value, `type:X` for the class X itself, `each:X` for several X, or the module.

    own: of `self`'s attributes.
    """

    names: dict[str, Kind]
    own: dict[str, Kind] = field(default_factory=dict)


def parameters_of(node: ast.FunctionDef | ast.AsyncFunctionDef) -> list[str]:
    """The names of a method's parameters without self."""
    return [argument.arg for argument in (*node.args.posonlyargs, *node.args.args)][1:]


class Checker:
    """Files against one version. uses: how many were seen. problems: `line: what is wrong`."""

    def __init__(self, interface: Interface) -> None:
        self.interface = interface
        self.uses = 0
        self.problems: list[str] = []
        self._silent = 0
        self._returns: dict[str, ast.expr] = {}

    def check(self, source: str) -> None:
        """Look at a whole file."""
        tree = ast.parse(source)
        functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
        self._returns = {node.name: node.returns for node in functions if node.returns is not None}
        names: dict[str, Kind] = {}
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                names |= {alias.asname or alias.name: _MODULE for alias in node.names if alias.name == _MODULE}
            elif isinstance(node, ast.ImportFrom) and node.module == _MODULE:
                names |= {alias.asname or alias.name: self._attribute(node, _MODULE, alias.name) for alias in node.names}
        if names:
            self._block(tree.body, Scope(names))

    def _block(self, body: list[ast.stmt], scope: Scope) -> None:
        for statement in body:
            self._statement(statement, scope)

    def _statement(self, node: ast.stmt, scope: Scope) -> None:
        match node:
            case ast.If(test=test, body=body, orelse=orelse) if _is_mark(test):
                self._block(body if self.interface.major == 11 else orelse, scope)
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                self._function(node, scope)
            case ast.ClassDef():
                self._class(node, scope)
            case ast.Assign(targets=[ast.Tuple(elts=targets)], value=ast.Tuple(elts=values)) if len(targets) == len(values):
                for target, kind in zip(targets, [self._kind(value, scope) for value in values], strict=True):
                    self._bind(target, kind, scope)
            case ast.Assign(targets=targets, value=value):
                kind = self._kind(value, scope)
                for target in targets:
                    self._bind(target, kind, scope)
            case ast.AnnAssign(target=target, annotation=annotation, value=value):
                told, made = self._annotated(annotation, scope), self._kind(value, scope)
                self._bind(target, told or made, scope)
            case ast.For(target=target, iter=several, body=body, orelse=orelse):
                self._bind(target, _one_of(self._kind(several, scope)), scope)
                self._block([*body, *orelse], scope)
            case ast.With(items=items, body=body):
                for item in items:
                    kind = self._kind(item.context_expr, scope)
                    if item.optional_vars:
                        self._bind(item.optional_vars, kind, scope)
                self._block(body, scope)
            case _:
                self._inside(node, scope)

    def _inside(self, node: ast.AST, scope: Scope) -> None:
        """What a statement holds, whatever it is."""
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.expr):
                self._kind(child, scope)
            elif isinstance(child, ast.stmt):
                self._statement(child, scope)
            else:
                self._inside(child, scope)

    def _function(self, node: ast.FunctionDef | ast.AsyncFunctionDef, scope: Scope) -> None:
        inner = Scope(dict(scope.names), scope.own)
        for argument in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs):
            inner.names[argument.arg] = self._annotated(argument.annotation, scope)
        self._annotated(node.returns, scope)
        for default in (*node.args.defaults, *node.decorator_list):
            self._kind(default, scope)
        self._block(node.body, inner)

    def _class(self, node: ast.ClassDef, scope: Scope) -> None:
        for base in node.bases:
            kind = self._kind(base, scope)
            if kind.startswith("type:"):
                self._overrides(node, kind.removeprefix("type:"))
        inner = Scope(dict(scope.names), {})
        body: list[ast.stmt] = []
        for statement in node.body:
            match statement:
                case ast.AnnAssign(target=ast.Name(id=name), annotation=annotation, value=value):
                    inner.own[name] = self._annotated(annotation, scope) or self._kind(value, scope)
                case _:
                    body.append(statement)
        self._silent += 1  # once to learn what the attributes are, for a method may use what a later one assigns
        self._block(body, inner)
        self._silent -= 1
        self._block(body, inner)

    def _overrides(self, node: ast.ClassDef, base: str) -> None:
        """A class of ours that TensorRT calls: it must have the base's methods, with the same parameters; it may have others."""
        methods = {method.name: method for method in node.body if isinstance(method, ast.FunctionDef)}
        for name, function in self.interface.classes[base].functions.items():
            if name == "__init__":
                continue
            if name not in methods:
                self._problem(node, f"{node.name} lacks {name}, which TensorRT calls of a {base}")
            elif list(function.names) != parameters_of(methods[name]):
                self._problem(methods[name], f"{base}.{name} takes {', '.join(function.names)}")

    def _bind(self, target: ast.expr, kind: Kind, scope: Scope) -> None:
        match target:
            case ast.Name(id=name):
                scope.names[name] = kind
            case ast.Attribute(value=ast.Name(id="self"), attr=name):
                scope.own[name] = kind or scope.own.get(name, "")
            case ast.Attribute():
                self._kind(target, scope)
            case ast.Tuple(elts=targets):
                for one in targets:
                    self._bind(one, _one_of(kind), scope)

    def _annotated(self, annotation: ast.expr | None, scope: Scope) -> Kind:
        """The type that an annotation names, quoted or not, with or without None; `each:` of it for what holds several."""
        match annotation:
            case None:
                return ""
            case ast.Constant(value=str(text)):
                return self._annotated(ast.parse(text, mode="eval").body, scope)
            case ast.BinOp(left=left, op=ast.BitOr(), right=right):
                found = [self._annotated(left, scope), self._annotated(right, scope)]
                return found[0] or found[1]
            case ast.Subscript(value=holder, slice=held):
                kinds = [self._annotated(one, scope) for one in (held.elts if isinstance(held, ast.Tuple) else [held])]
                inner = next(filter(None, reversed(kinds)), "")
                return inner if ast.unparse(holder).endswith("Optional") or not inner else f"{_EACH}{inner}"
        return self._kind(annotation, scope).removeprefix("type:")

    def _kind(self, node: ast.expr | None, scope: Scope) -> Kind:
        """The type of an expression; every use in it is checked."""
        match node:
            case None:
                return ""
            case ast.Name(id=name):
                return scope.names.get(name, "")
            case ast.Attribute(value=ast.Name(id="self"), attr=name) if name in scope.own:
                return scope.own[name]
            case ast.Attribute(value=value, attr=name):
                return self._attribute(node, self._kind(value, scope), name)
            case ast.Call():
                return self._call(node, scope)
            case ast.IfExp(test=test, body=body, orelse=orelse) if _is_mark(test):
                return self._kind(body if self.interface.major == 11 else orelse, scope)
            case ast.IfExp(body=body, orelse=orelse):
                self._kind(node.test, scope)
                found = [self._kind(body, scope), self._kind(orelse, scope)]
                return found[0] or found[1]
            case ast.NamedExpr(target=target, value=value):
                kind = self._kind(value, scope)
                self._bind(target, kind, scope)
                return kind
            case ast.Subscript(value=value, slice=part):
                self._kind(part, scope)
                return _one_of(self._kind(value, scope))
            case ast.List(elts=parts) | ast.Tuple(elts=parts) | ast.Set(elts=parts):
                kinds = {self._kind(part, scope) for part in parts}
                return f"{_EACH}{kinds.pop()}" if len(kinds) == 1 and kinds != {""} else ""
            case ast.ListComp(elt=part) | ast.SetComp(elt=part) | ast.GeneratorExp(elt=part):
                kind = self._kind(part, self._looped(node.generators, scope))
                return f"{_EACH}{kind}" if kind else ""
            case ast.DictComp():
                inner = self._looped(node.generators, scope)
                self._kind(node.key, inner)
                self._kind(node.value, inner)
                return ""
        self._inside(node, scope)
        return ""

    def _looped(self, generators: list[ast.comprehension], scope: Scope) -> Scope:
        """Within a comprehension."""
        inner = Scope(dict(scope.names), scope.own)
        for each in generators:
            self._bind(each.target, _one_of(self._kind(each.iter, inner)), inner)
            for condition in each.ifs:
                self._kind(condition, inner)
        return inner

    def _attribute(self, node: ast.expr | ast.stmt, owner: Kind, name: str) -> Kind:
        if not owner or name in _ALWAYS or owner.startswith(("call:", _EACH)):
            return ""
        if not self._silent:
            self.uses += 1
        place, classes = self._place(owner), self.interface.classes
        path = "" if owner == _MODULE else owner.removeprefix("type:") + "."
        if f"{path}{name}" in classes:
            return f"type:{path}{name}"
        if name in place.attributes:
            return place.attributes[name]
        if name in place.functions:
            return f"call:{path}{name}"
        self._problem(node, f"{path or 'tensorrt.'}{name} does not exist")
        return ""

    def _place(self, owner: Kind) -> Class:
        if owner == _MODULE:
            return Class(functions=self.interface.functions, attributes=self.interface.attributes)
        found = self.interface.classes[owner.removeprefix("type:")]
        for base in found.bases:
            more = self.interface.classes[base]
            found = Class(functions=more.functions | found.functions, attributes=more.attributes | found.attributes)
        return found

    def _call(self, node: ast.Call, scope: Scope) -> Kind:
        called = self._kind(node.func, scope)
        kinds = [self._kind(argument, scope) for argument in node.args]
        for keyword in node.keywords:
            self._kind(keyword.value, scope)
        match node.func:
            case ast.Name(id="getattr") if kinds and kinds[0]:
                self._problem(node, "getattr of something of TensorRT's: nobody can tell what it takes; write the name")
            case ast.Name(id=name) | ast.Attribute(value=ast.Name(id="self"), attr=name) if not called and name in self._returns:
                return self._annotated(self._returns[name], scope)
        if called.startswith("type:"):
            return self._constructed(node, called.removeprefix("type:"))
        if not called.startswith("call:"):
            return ""
        owner, _, name = called.removeprefix("call:").rpartition(".")
        function = self._place(owner).functions[name] if owner else self.interface.functions[name]
        self._arguments(node, called.removeprefix("call:"), function)
        return function.result

    def _constructed(self, node: ast.Call, name: str) -> Kind:
        constructor = self.interface.classes[name].functions.get("__init__")
        if constructor is None:
            self._problem(node, f"{name} has no constructor")
        else:
            self._arguments(node, name, constructor)
        return name

    def _arguments(self, node: ast.Call, name: str, function: Function) -> None:
        if any(isinstance(argument, ast.Starred) for argument in node.args) or any(not word.arg for word in node.keywords):
            self._problem(node, f"{name} is called with arguments that nobody can count; write them out")
            return
        words = [word.arg for word in node.keywords]
        for word in words:
            if word not in function.names:
                reason = "are not known: pass them by position" if function.open else f"are {', '.join(function.names) or 'none'}"
                self._problem(node, f"{name} has no parameter {word}; its parameters {reason}")
        given = set(function.names[: len(node.args)]) | set(words)
        if len(node.args) > len(function.names) and not function.open:
            self._problem(node, f"{name} takes {len(function.names)} arguments, not {len(node.args)}")
        missing = [one for one in function.names[: function.required] if one not in given]
        if missing:
            self._problem(node, f"{name} lacks {', '.join(missing)}")

    def _problem(self, node: ast.expr | ast.stmt, text: str) -> None:
        if not self._silent:
            self.problems.append(f"{node.lineno}: {text} in TensorRT {self.interface.major}")


def _one_of(kind: Kind) -> Kind:
    """The type of one of several; "" for what is not known to be several."""
    return kind.removeprefix(_EACH) if kind.startswith(_EACH) else ""


def _is_mark(test: ast.expr) -> bool:
    """Whether a condition is the word that marks a branch by version."""
    return (isinstance(test, ast.Attribute) and test.attr == _MARK) or (isinstance(test, ast.Name) and test.id == _MARK)
