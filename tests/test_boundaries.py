"""The wings of the house: a wing imports only wings to its left."""

import ast
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1] / "spclap"
ORDER = ["data", "scene", "model", "evaluate", "engine", "bin"]
FORBIDDEN = {("model", "data"), ("model", "scene")}


def imports(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def test_wings_import_only_to_their_left():
    for path in PACKAGE.rglob("*.py"):
        wing = path.relative_to(PACKAGE).parts[0]
        if wing not in ORDER:
            continue
        for name in imports(path):
            parts = name.split(".")
            if parts[0] == "spclap" and len(parts) > 1 and parts[1] in ORDER:
                assert ORDER.index(parts[1]) <= ORDER.index(wing), f"{path} imports {name}"
                assert (wing, parts[1]) not in FORBIDDEN, f"{path} imports {name}"


def test_only_the_engine_imports_espnet():
    for path in PACKAGE.rglob("*.py"):
        if any(name.split(".")[0].startswith("espnet") for name in imports(path)):
            assert path.parent.name == "engine", path


def test_utils_do_not_import_the_package():
    for path in (PACKAGE.parent / "utils").glob("*.py"):
        assert not any(name.startswith("spclap") for name in imports(path)), path
