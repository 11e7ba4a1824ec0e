"""Nothing outside `tenancy/naming.py` builds a key, pattern, collection, keyring entry or file name from a tenant.

The package's syntax trees are searched for three things: the prefixes themselves, a base of the wire anywhere but where
bases are handed over whole, and a tenant put together with other text that is not a sentence for a human or a line of a
message (those have white space, a name has none). The last tests show that each would be found.
"""

import ast
import re
from collections.abc import Collection, Iterator
from pathlib import Path

import pytest

import hitl_desktop

PACKAGE = Path(hitl_desktop.__file__).parent
NAMING = "tenancy/naming.py"
# Whole bases, handed to naming: nothing is joined to them where they stand.
BASES: dict[str, set[str]] = {
    "services/health.py": {"asdlc:pending_gates", "asdlc:events", "asdlc:audit"},
    "services/knowledge.py": {"asdlc_documents", "asdlc_specs"},
    "session/review.py": {"asdlc_specs"},
    "settings/values.py": {"asdlc_documents"},
    "demo/content.py": {"asdlc_documents"},
}
# A tenant joined to other text that is none of the names; each as it is unparsed, with single quotes.
OTHER_TEXT: dict[str, set[str]] = {
    "demo/content.py": {  # what a UUID of the demo is derived from, so that filling it twice adds nothing
        "f'{tenant_id}:{gate['slug']}:request'",
        "f'{tenant_id}:{gate['slug']}:bundle'",
    },
    "domain/allowlist.py": {"f'{tenant_id}_'"},  # looked for, to refuse tenants whose names could meet
}
_PREFIX = re.compile(r"tenant:(?!\s)|^tenant[-_]$|^single[-_]tenant$")
_TENANT = re.compile(r"(^|_)tenants?(_id|_name)?$")
_JOINING = frozenset({"format", "format_map", "join", "joinpath", "with_name", "with_stem", "with_suffix", "replace"})
_OPERATORS = (ast.Add, ast.Mod, ast.Div)


def findings(source: str, bases: Collection[str] = (), other_text: Collection[str] = ()) -> Iterator[str]:
    """Yield what in `source` builds, or could build, a name from a tenant."""
    tree = ast.parse(source)
    prose = _docstrings(tree)
    tenants = _tenant_variables(tree)
    composed = [(node, parts) for node in ast.walk(tree) if (parts := _composed(node))]
    joined = {id(node) for _, parts in composed for part in parts for node in ast.walk(part)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(text := _text(node.value), str) and id(node) not in prose:
            if _PREFIX.search(text):
                yield f"line {node.lineno}: the prefix {text!r}"
            elif "asdlc" in text and (text not in bases or id(node) in joined):
                yield f"line {node.lineno}: the base {text!r}"
    for node, parts in composed:
        shown = ast.unparse(node).replace('"', "'")
        if any(_is_tenant(part, tenants) for part in parts) and not _is_sentence(parts) and shown not in other_text:
            yield f"line {parts[0].lineno}: a tenant joined to other text, {shown}"


def _text(value: object) -> object:
    return value.decode("latin-1") if isinstance(value, bytes) else value


def _docstrings(tree: ast.Module) -> set[int]:
    """Return the expressions that are nothing but a text: docstrings, also those of attributes."""
    return {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}


def _tenant_variables(tree: ast.Module) -> set[str]:
    """Return the names that a tenant was assigned to, also over several assignments."""
    found: set[str] = set()
    assigned = [
        (target, node.value)
        for node in ast.walk(tree)
        if isinstance(node, (ast.Assign, ast.AnnAssign, ast.NamedExpr)) and node.value is not None
        for target in (node.targets if isinstance(node, ast.Assign) else [node.target])
    ]
    while True:
        more = {
            target.id
            for target, value in assigned
            if isinstance(target, ast.Name)
            and isinstance(value, (ast.Name, ast.Attribute))
            and _is_tenant(value, found)
        }
        if more <= found:
            return found
        found |= more


def _composed(node: ast.AST) -> list[ast.expr]:
    """Return the parts that `node` puts together into one text or path."""
    if isinstance(node, ast.JoinedStr):
        return [part.value if isinstance(part, ast.FormattedValue) else part for part in node.values]
    if isinstance(node, ast.BinOp) and isinstance(node.op, _OPERATORS):
        return [*_operands(node.left), *_operands(node.right)]
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in _JOINING:
        return [node.func.value, *_flat(node.args), *(keyword.value for keyword in node.keywords)]
    return []


def _operands(node: ast.expr) -> list[ast.expr]:
    inner = _composed(node) if isinstance(node, ast.BinOp) else []
    return inner or _flat([node])


def _flat(nodes: list[ast.expr]) -> list[ast.expr]:
    return [part for node in nodes for part in (node.elts if isinstance(node, (ast.Tuple, ast.List)) else [node])]


def _is_tenant(node: ast.expr, tenants: set[str]) -> bool:
    """Whether the value of `node` is a tenant's id, or made from one by a call of its own methods or of str()."""
    if isinstance(node, ast.Name):
        return node.id in tenants or _TENANT.search(node.id) is not None
    if isinstance(node, ast.Attribute):
        return _TENANT.search(node.attr) is not None
    if isinstance(node, ast.Call):
        inner = [node.func.value] if isinstance(node.func, ast.Attribute) else node.args
        called = node.func.attr if isinstance(node.func, ast.Attribute) else ast.unparse(node.func)
        of_tenant = isinstance(node.func, ast.Attribute) or called in {"str", "repr", "format"}
        return called == "get_current_tenant" or (of_tenant and any(_is_tenant(part, tenants) for part in inner))
    if isinstance(node, (ast.BoolOp, ast.IfExp)):
        return any(_is_tenant(part, tenants) for part in ast.iter_child_nodes(node) if isinstance(part, ast.expr))
    return isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Constant) and node.slice.value == "tenant_id"


def _is_sentence(parts: list[ast.expr]) -> bool:
    return any(
        isinstance(node, ast.Constant) and isinstance(node.value, str) and re.search(r"\s", node.value)
        for part in parts
        for node in ast.walk(part)
    )


def modules() -> Iterator[tuple[str, str]]:
    for path in sorted(PACKAGE.rglob("*.py")):
        yield path.relative_to(PACKAGE).as_posix(), path.read_text()


def test_only_naming_builds_names_from_a_tenant() -> None:
    found = [
        f"{name}, {finding}"
        for name, source in modules()
        if name != NAMING
        for finding in findings(source, BASES.get(name, set()), OTHER_TEXT.get(name, set()))
    ]
    assert found == []


def test_no_script_of_the_server_names_a_key() -> None:
    scripts = {path: path.read_text() for path in PACKAGE.rglob("*.lua")}
    assert scripts
    assert [path.name for path, script in scripts.items() if re.search(r"tenant:|asdlc", script)] == []


def test_what_is_allowed_still_stands_where_it_is_allowed() -> None:
    sources = dict(modules())
    for name, texts in OTHER_TEXT.items():
        found = "\n".join(findings(sources[name], BASES.get(name, set())))
        assert all(text in found for text in texts)
    for name, bases in BASES.items():
        for base in bases:
            assert f'"{base}"' in sources[name]


def test_naming_itself_would_be_found_in_any_other_place() -> None:
    found = "\n".join(findings((PACKAGE / NAMING).read_text()))
    assert "the prefix 'tenant:'" in found
    assert "the base 'asdlc:pending_gates'" in found
    assert "a tenant joined" in found


@pytest.mark.parametrize(
    "line",
    [
        'f"tenant:{self.t}:asdlc:events"',
        '"tenant:" + x',
        'b"tenant:%s" % x',
        '"tenant:*:asdlc:*"',
        'f"{tenant_id}_{base}"',
        'f"{self._names.tenant_id}_asdlc_documents"',
        'f"{base}@{session.tenant_id}"',
        'tenant_id + "_" + base',
        '"%s_%s" % (tenant, base)',
        '"{}_{}".format(self.tenant_id, base)',
        '"{t}.db".format(t=self.tenant_id)',
        '"_".join((tenant, base))',
        '":".join(["x", TenantContext.get_current_tenant(), "y"])',
        "folder / tenant_id",
        'folder / f"{tenant_id}.db"',
        "folder.joinpath(tenant_id)",
        'path.with_name(tenant_id + ".json")',
        '"PLACE.json".replace("PLACE", tenant_id)',
        'f"{tenant_id.upper()}.db"',
        'f"{str(tenant_id)}.db"',
        "f\"{tenant_id or 'none'}.db\"",
        "f\"{row['tenant_id']}.db\"",
        '"asdlc:" + x',
        'f"asdlc:gate_request:{x}"',
        'prefix + "asdlc_specs"',
        '"asdlc:unheard_of"',
    ],
)
@pytest.mark.parametrize("module", ["session/review.py", "services/knowledge.py", "store/windows.py"])
def test_a_name_built_elsewhere_is_found(module: str, line: str) -> None:
    source = (PACKAGE / module).read_text()
    bases = BASES.get(module, set())
    assert list(findings(source, bases)) == []
    mutated = f"{source}\n\ndef mutant(self, tenant, tenant_id, base, folder, path, prefix, row, session, x):\n"
    assert list(findings(f"{mutated}    return {line}\n", bases))


def test_a_tenant_under_another_name_is_found() -> None:
    source = 'def mutant(tenant_id):\n    one = tenant_id\n    two = one\n    return f"{two}_x"\n'
    assert list(findings(source)) == ["line 4: a tenant joined to other text, f'{two}_x'"]


@pytest.mark.parametrize(
    "line",
    ['f"Tenant {tenant_id!r} may not be entered."', "names.collection(base)", '{"tenant_id": tenant_id}', "count + 1"],
)
def test_sentences_and_calls_of_naming_are_not_taken_for_names(line: str) -> None:
    assert list(findings(f"def f(tenant_id, names, base, count):\n    return {line}\n")) == []
