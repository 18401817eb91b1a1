"""`docs/add-a-feature.md` does what it says: its blocks are run, on every engine."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from feature_store import declaration
from feature_store.declaration import Declaration
from infra.stack.home import REPOSITORY
from tests.spec import examples
from tests.spec.engines import ENGINES
from tests.spec.examples import HORIZON, Example
from tests.spec.worlds import check, messages

PAGE = (REPOSITORY / "docs" / "add-a-feature.md").read_text()


def block(named: str) -> str:
    """The code block of the page whose first line is this comment."""
    (found,) = re.findall(rf"```python\n# {re.escape(named)}\n(.*?)```", PAGE, re.DOTALL)
    return str(found)


@pytest.fixture
def declared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Declaration:
    """The page's declaration, as `MILLRACE_FEATURES=shop_features` loads it."""
    (tmp_path / "shop_features.py").write_text(block("shop_features.py"))
    monkeypatch.syspath_prepend(tmp_path)
    return declaration.load("shop_features")


@pytest.fixture(scope="module")
def tables() -> list[Example]:
    """The page's spec tables, with the names that `tests/spec/examples.py` knows."""
    known: dict[str, Any] = dict(vars(examples))
    exec(block("tests/spec/examples.py"), known)
    found: list[Example] = known["EXAMPLES"]
    return found


@pytest.mark.parametrize("engine", ENGINES)
def test_the_page_is_true(engine: str, declared: Declaration, tables: list[Example]) -> None:
    tiles = ENGINES[engine]().tiles(declared, HORIZON, messages(tables))
    for world, example in enumerate(tables):
        check(tiles, world, example)


def test_a_wrong_table_would_be_noticed(declared: Declaration, tables: list[Example]) -> None:
    shipped = declaration.load("feature_store.features")
    assert declared.fingerprint != shipped.fingerprint
    tiles = ENGINES["reference"]().tiles(shipped, HORIZON, messages(tables))
    with pytest.raises(AssertionError):
        check(tiles, 0, tables[0])
