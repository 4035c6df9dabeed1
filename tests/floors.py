"""What the house looks like: which module stands on which floor, and what is out of place."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator, Mapping
from fnmatch import fnmatch

__all__ = ["FAMILIES", "FLOORS", "LONGEST", "WRAPPED", "House", "Module", "looks"]


def _rooms(names: str) -> tuple[str, ...]:
    return tuple(names.split())


# Which floor each module or package stands on; the root package, which has no name here, too.
FLOORS = {
    0: _rooms(
        "abroad addresses askers bare bodies cards checks copying deadlines environment errors "
        "events forks here identity jobs journal keys labels latest lines listeners making memo "
        "naming naps need pipeline preparing raising refusals replicas settings settling sharing "
        "spent team terms timer tracing verbs waits ways"
    ),
    1: _rooms("policies stores transport"),
    2: _rooms(
        "circuits engine fallbacks guard hedging looking plans seeing session shortcut watching "
        "wire witness"
    ),
    3: _rooms(
        "api bars batches checkpoints client crew desk installing logs many otel pages paging "
        "prometheus script source"
    ),
    4: ("", "aio"),
    5: _rooms("cli views"),
    6: _rooms("__main__"),
}
FLOOR_OF = {room: floor for floor, rooms in FLOORS.items() for room in rooms}

# On this floor rooms do not know each other, but a policy may know where its things are kept.
SECLUDED = 1
DOORS = {("policies", "stores")}

# Beside the house: what tests and demonstrations stand on.  It needs the ground floor only.
BESIDE = "testing"
VISITORS_OF_BESIDE = {"cli", "views"}

# Policies that fill more than one file, and the names of the others: a family among themselves.
FAMILIES = {
    "breakers": (
        *("breaker_checks", "breaker_forms", "breaker_hand", "breaker_judge", "breaker_permits"),
        *("breaker_patterns", "breaker_registry", "breaker_states", "breaker_telling"),
        *("breaker_window", "circuit_breaker", "endpoints", "shared_circuits"),
    ),
    "cache": (
        *("changes", "demands", "directives", "explaining", "freshness", "keeper", "keeping"),
        *("offcuts", "refresher", "renewals", "sweeper", "turns", "validation", "variants"),
    ),
    "flights": ("flight",),
    "hedges": ("latencies", "race"),
    "limits": (
        *("adaptive", "announced", "bulkhead", "heeding", "places", "quota", "rate_limit"),
        *("slots", "waiting"),
    ),
    "retry": ("backoff", "outcomes", "replay", "rules"),
}
FAMILY_OF = {part: policy for policy, parts in FAMILIES.items() for part in parts}

# Which files wrap which library; the rest of the house does not know that it exists.
WRAPPED = {
    "IPython": ("cards/live.py",),
    "cachetools": ("stores/memory.py", "stores/front.py"),
    "cryptography": ("stores/seal.py",),
    "limits": ("stores/windows.py",),
    "opentelemetry": ("otel/*.py",),
    "prometheus_client": ("prometheus.py",),
    "pybreaker": ("errors.py", "policies/breaker*.py", "policies/circuit_breaker.py"),
    "pytest": ("testing/*.py",),
    "redis": ("stores/redis.py",),
    "requests": ("*",),
    "rich": ("views/screen.py", "cards/live.py", "cards/screen.py"),
    "tenacity": ("policies/retry.py",),
    "tqdm": ("bars.py",),
    "urllib3": ("*",),
}

LONGEST = 250


class Module:
    """One file: its path below ``browseros_api``, its tree, and whom it imports."""

    def __init__(self, path: str, source: str) -> None:
        self.path = path
        self.source = source
        self.tree = ast.parse(source)
        self.is_package = path.endswith("__init__.py")
        parts = path.removesuffix(".py").split("/")
        self.name = ".".join(parts[:-1] if self.is_package else parts)
        self.package = self.name if self.is_package else ".".join(parts[:-1])
        self.room = self.name.split(".")[0]

    def imports(self) -> Iterator[tuple[int, str]]:
        """Line and full name of everything imported, wherever in the file that is done."""
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                yield from ((node.lineno, alias.name) for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                base = self._absolute(node)
                yield from ((node.lineno, f"{base}.{alias.name}") for alias in node.names)
            elif isinstance(node, ast.Call) and node.args:
                called = ast.unparse(node.func).rpartition(".")[2]
                named = node.args[0]
                if called in {"import_module", "__import__"} and isinstance(named, ast.Constant):
                    yield node.lineno, str(named.value)

    def _absolute(self, node: ast.ImportFrom) -> str:
        if not node.level:
            return node.module or ""
        package = ["browseros_api", *filter(None, self.package.split("."))]
        above = package[: len(package) - node.level + 1]
        return ".".join([*above, node.module] if node.module else above)


class House:
    """All modules, by name; ``complaints`` says what is wrong with them."""

    def __init__(self, sources: Mapping[str, str]) -> None:
        modules = (Module(path, text) for path, text in {"__init__.py": "", **sources}.items())
        self.modules = {module.name: module for module in modules}

    def complaints(self) -> list[str]:
        """One line for each thing that is out of place."""
        found = dict.fromkeys(text for one in self.modules.values() for text in self._of(one))
        return [*found] + [f"a circle of imports: {' -> '.join(c)}" for c in self._circles()]

    def _of(self, module: Module) -> Iterator[str]:
        if module.room not in FLOOR_OF and module.room != BESIDE:
            yield f"{module.path}: unknown; give {module.room!r} a floor in tests/floors.py"
            return
        yield from (f"{module.path}: {text}" for text in looks(module))
        for line, name in module.imports():
            ours = _is_ours(name)
            text = why_not(module, self._target(name)) if ours else not_wrapped(module, name)
            if text:
                yield f"{module.path}:{line}: {text}"

    def _target(self, name: str) -> Module:
        """The module that ``name`` is, or is a name in."""
        below = name.split(".")[1:]
        while below and ".".join(below) not in self.modules:
            below.pop()
        return self.modules[".".join(below)]

    def _circles(self) -> Iterator[list[str]]:
        edges = {name: self._neighbours(module) for name, module in self.modules.items()}
        done: set[str] = set()

        def visit(name: str, way: list[str]) -> Iterator[list[str]]:
            if name in way:
                yield [*way[way.index(name) :], name]
            elif name not in done:
                for other in edges[name]:
                    yield from visit(other, [*way, name])
                done.add(name)

        for name in edges:
            yield from visit(name, [])

    def _neighbours(self, module: Module) -> set[str]:
        targets = {self._target(name).name for _, name in module.imports() if _is_ours(name)}
        return targets - {module.name}  # a package, if the file it names is not there


def _is_ours(name: str) -> bool:
    return name.split(".", maxsplit=1)[0] == "browseros_api"


def why_not(module: Module, target: Module) -> str | None:
    """Why ``module`` must not import ``target``, if it must not."""
    if target.room not in FLOOR_OF and target.room != BESIDE:
        return None  # the file itself is complained of
    if BESIDE in (module.room, target.room):
        return _why_not_beside(module, target)
    if module.room == target.room:
        return _why_not_neighbour(module, target)
    own, its = FLOOR_OF[module.room], FLOOR_OF[target.room]
    if its > own:
        return f"imports upwards: {target.path} is on floor {its}, this is on floor {own}"
    if its == own == SECLUDED and (module.room, target.room) not in DOORS:
        return f"imports sideways: {module.room} and {target.room} know nothing of each other"
    return None


def _why_not_beside(module: Module, target: Module) -> str | None:
    if module.room == target.room:
        return None
    if module.room == BESIDE:
        fits = FLOOR_OF[target.room] == 0
        return None if fits else f"imports {target.path}; {BESIDE} stands on floor 0 only"
    fits = module.room in VISITORS_OF_BESIDE
    return None if fits else f"imports {target.path}, which is for tests and demonstrations"


def _why_not_neighbour(module: Module, target: Module) -> str | None:
    if module.room != "policies" or module.is_package or target.is_package:
        return None
    own, its = (one.name.rpartition(".")[2] for one in (module, target))
    if FAMILY_OF.get(own, own) == FAMILY_OF.get(its, its):
        return None
    return f"imports {target.path}; policies do not know each other"


def not_wrapped(module: Module, name: str) -> str | None:
    """Why ``module`` must not import ``name`` of some library, if it must not."""
    library = name.split(".", maxsplit=1)[0]
    if library in sys.stdlib_module_names:
        return None
    if library not in WRAPPED:
        return f"imports {library}, which no file is listed to wrap in tests/floors.py"
    if any(fnmatch(module.path, pattern) for pattern in WRAPPED[library]):
        return None
    return f"imports {library}, which is wrapped by {', '.join(WRAPPED[library])}"


def looks(module: Module) -> Iterator[str]:
    """What a reader would miss in ``module``."""
    lines = module.source.count("\n")
    if lines > LONGEST:
        yield f"{lines} lines; {LONGEST} are enough"
    if module.is_package and not module.source.strip():
        return  # a mere marker
    if not (ast.get_docstring(module.tree) or "").strip():
        yield "does not open with a docstring"
    code = module.tree.body[1:]
    if not code:
        return
    first = code[0]
    if not (isinstance(first, ast.ImportFrom) and first.module == "__future__"):
        yield "lacks 'from __future__ import annotations'"
    is_public = not any(part.startswith("_") for part in module.name.split("."))
    if is_public and not any(_is_all(node) for node in code):
        yield "lacks __all__"


def _is_all(node: ast.stmt) -> bool:
    targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
    return any(isinstance(target, ast.Name) and target.id == "__all__" for target in targets)
