"""Where the lines are, family by family, beside Keras's: `make lines`, for ARCHITECTURE.md."""

import ast
import importlib.util
from collections import Counter
from pathlib import Path

# Families of keraslike -> the folders of `keras/src` that do the same. All modules at the top of
# the package are one family.
FAMILIES = {
    "tf": "",
    "layers": "layers",
    "core": "backend/common backend/jax dtype_policies",
    "ops": "ops",
    "training": "trainers callbacks",
    "saving": "saving",
    "(modules)": "activations initializers regularizers constraints random tree visualization "
    "distillation",
    "export": "export",
    "data": "",
    "utils": "utils",
    "optimizers": "optimizers",
    "applications": "applications",
    "models": "models",
    "metrics": "metrics",
    "losses": "losses",
    "legacy": "legacy",
    "distribution": "distribution",
    "quantizers": "quantizers",
    "backend": "",
    "datasets": "datasets",
    "wrappers": "wrappers",
}


def lines_of(path: Path) -> Counter:
    """All lines of a file, and those of code: neither blank nor comments nor docstrings."""
    text = path.read_text()
    docstrings = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(
            node
        ):
            docstrings |= set(range(node.body[0].lineno, node.body[0].end_lineno + 1))
    lines = list(enumerate(text.splitlines(), 1))
    code = [s for i, s in lines if i not in docstrings and s.strip() and s.strip()[0] != "#"]
    return Counter(all=len(lines), code=len(code))


def total(paths) -> Counter:
    return sum((lines_of(p) for p in paths if not p.name.endswith("_test.py")), Counter())


def below(root: Path, name: str) -> list[Path]:
    if name == "(modules)":
        return list(root.glob("*.py"))
    return [root / name] if name.endswith(".py") else list((root / name).rglob("*.py"))


def table(package: Path, keras: Path) -> str:
    rows = ["| family | lines | code | Keras | code |", "| --- | ---: | ---: | ---: | ---: |"]
    for family, folders in FAMILIES.items():
        ours = total(below(package, family))
        theirs = total(p for folder in folders.split() for p in below(keras, folder))
        cells = [ours["all"], ours["code"], theirs["all"], theirs["code"]]
        rows.append(f"| {family} | " + " | ".join(f"{n:,}" if n else "" for n in cells) + " |")
    ours = total(package.rglob("*.py"))
    others = {"numpy", "openvino", "tensorflow", "torch"}  # Keras's other backends
    theirs = total(
        p
        for p in keras.rglob("*.py")
        if not (p.relative_to(keras).parts[0] == "backend" and set(p.parts) & others)
    )
    rows.append(
        f"| all | {ours['all']:,} | {ours['code']:,} | {theirs['all']:,} | {theirs['code']:,} |"
    )
    return "\n".join(rows)


if __name__ == "__main__":
    keras = importlib.util.find_spec("keras")
    print(table(Path(__file__).parent.parent / "keraslike", Path(keras.origin).parent / "src"))
