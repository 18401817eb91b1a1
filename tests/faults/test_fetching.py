"""MLflow breaks while a new champion is on its way: the old one serves, and then the new one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

import pytest

from feature_store.settings import Settings
from tests.faults.artefacts import SPOILT, Spoilt
from tests.faults.promotion import left, suffer
from tests.faults.proxy import FAULTS, Fault, Proxy
from tests.faults.shop import Shop, open_shop
from tests.faults.test_model_file import ILLS, ORDINARY, bears
from tests.integration.test_serving import wait_for

#: The long form is longer than MLflow's client waits for an answer.
LASTS_S: Final = 15.0
QUICKLY_S: Final = 3.0
QUICK: Final = (Fault.REFUSED, Spoilt.GARBLED)
QUICK_ILL: Final = "unreadable copy"


@pytest.fixture
def shop(settings: Settings, tmp_path: Path) -> Iterator[Shop]:
    with open_shop(settings, tmp_path, ORDINARY) as shop:
        yield shop


def test_promotions_that_fail_in_short(shop: Shop, capsys: pytest.CaptureFixture[str]) -> None:
    for how in QUICK:
        assert suffer(shop, f"fetch, {how}", breaks(shop, how), QUICKLY_S, capsys).wrong == {}
    _given_up(shop)
    # A cell of the model file, while the shop is open: to open another takes its time.
    assert bears(shop, QUICK_ILL, *ILLS[QUICK_ILL], QUICKLY_S, capsys) == {}


@pytest.mark.trial
def test_a_fetch(shop: Shop, capsys: pytest.CaptureFixture[str]) -> None:
    found = {
        str(how): suffer(shop, f"fetch, {how}", breaks(shop, how), LASTS_S, capsys).wrong
        for how in (*FAULTS, *SPOILT)
    }
    assert not {how: wrong for how, wrong in found.items() if wrong}


@contextmanager
def breaks(shop: Shop, how: Fault | Spoilt) -> Iterator[None]:
    """The second bundle is promoted; from its first file on, MLflow is hurt."""
    proxy = shop.proxies["mlflow"]
    assert isinstance(proxy, Proxy)
    with ExitStack() as hurting:
        with shop.artefacts.held():
            shop.registry.promote(shop.versions[1])
            assert shop.artefacts.asked.wait(60)
            before = proxy.hurt, shop.artefacts.hurt
            if isinstance(how, Fault):
                hurting.enter_context(proxy.fault(how))
            else:
                hurting.enter_context(shop.artefacts.fault(how))
        yield
        assert (proxy.hurt, shop.artefacts.hurt) != before


def _given_up(shop: Shop) -> None:
    """Nobody waits for a bundle that is champion no more, however slowly it comes."""
    with breaks(shop, Spoilt.DRIBBLES):
        wait_for(lambda: any(name.startswith(".fetching-") for name in left(shop)))
        shop.registry.promote(shop.versions[0])
        wait_for(lambda: not any(name.startswith(".fetching-") for name in left(shop)))
        wait_for(lambda: shop.model() == "")
