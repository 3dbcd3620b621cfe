"""A module is one family of things, which can be read in one sitting."""

from pathlib import Path

import keraslike

MOST = 600  # lines of a module
# Modules that hold nothing but a table.
TABLES = {"ops/documentation.py", "tf/documentation.py", "tf/experimental/numpy_documentation.py"}


def test_no_module_is_long():
    package = Path(keraslike.__file__).parent
    sizes = {
        path.relative_to(package).as_posix(): len(path.read_text().splitlines())
        for path in package.rglob("*.py")
    }
    long = {name: size for name, size in sizes.items() if size > MOST}
    assert long.keys() <= TABLES, f"Split along a line that a user would know: {long}"
