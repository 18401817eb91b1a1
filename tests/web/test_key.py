"""The storefront and the status page where every call needs a key."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from serving.keys import Scope, create, revoke
from serving.security import Access
from serving.settings import ServingSettings
from tests.unit.serving.world import World
from tests.web.conftest import served, stocked_world

BOTH = frozenset({Scope.READ, Scope.WRITE})


@dataclass(frozen=True)
class Door:
    """A shop that keys open."""

    shop: World
    url: str
    keys: Path

    def key(self, user: str | None = None) -> tuple[str, str]:
        """A new key: its id and its token."""
        key, token = create(self.keys, "shop", BOTH, user, None)
        self.shop.parts.protection.keys.refresh()
        return key.id, token

    def revoke(self, key_id: str) -> None:
        revoke(self.keys, key_id)
        self.shop.parts.protection.keys.refresh()


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    root = tmp_path_factory.mktemp("locked")
    keys = root / "keys.json"
    rules = ServingSettings(refresh_s=60, access=Access.KEYS, keys=keys)
    shop = stocked_world(root / "shelf", rules)
    with served(shop) as url:
        yield Door(shop, url, keys)


def form(page: Page) -> Locator:
    return page.get_by_role("dialog", name="A key is needed")


def enter(page: Page, token: str) -> None:
    """Types a key where the focus is and confirms it, as somebody without a mouse does."""
    expect(form(page).get_by_label("API key")).to_be_focused()
    page.keyboard.insert_text(token)
    page.keyboard.press("Enter")


def expect_a_list(page: Page) -> None:
    """There are products."""
    expect(page.locator("#list .card").first).to_be_visible()


def kept(page: Page) -> object:
    """Everything that a page of this tab could find again: storages, cookies, the address."""
    return page.evaluate(
        "[{...sessionStorage}, {...localStorage}, document.cookie, location.href, history.length]"
    )


def test_a_key_is_asked_for_once_and_opens_all_that_the_page_does(tab: Page, door: Door) -> None:
    _, token = door.key()
    tab.goto(f"{door.url}/#ann")
    expect(form(tab)).to_have_accessible_description("Send a key: `Authorization: Bearer <key>`.")
    enter(tab, token)
    expect_a_list(tab)
    tab.locator("#list .card").first.get_by_role("button", name="Cart:").click()
    expect(tab.locator("#trip-end")).to_contain_text("Your list")
    tab.reload()
    expect_a_list(tab)
    tab.goto(f"{door.url}/status")
    expect(tab.locator("#parts li", has_text="redis").locator("strong")).to_have_text("up")
    expect(tab.get_by_role("button", name="Forget the key")).to_be_visible()
    expect(form(tab)).to_have_count(0)


def test_a_key_is_kept_in_its_tab_alone(tab: Page, door: Door, browser: Browser) -> None:
    _, token = door.key()
    tab.goto(f"{door.url}/#ann")
    sent: list[str] = []
    tab.on("request", lambda request: sent.append(request.url))
    enter(tab, token)
    expect_a_list(tab)
    session, *elsewhere = kept(tab)  # type: ignore[misc]
    assert session == {"api-key": token}
    assert token not in str(elsewhere)
    assert sent
    assert not any(token in url for url in sent)
    assert token not in tab.content()
    another = browser.new_page()
    another.goto(f"{door.url}/#ann")
    expect(form(another)).to_be_visible()
    another.close()


def test_what_is_no_key_is_not_sent_and_a_wrong_one_is_asked_for_again(
    tab: Page, door: Door
) -> None:
    _, token = door.key()
    tab.goto(f"{door.url}/#ann")
    enter(tab, "open sesame")
    expect(form(tab).locator("input:invalid")).to_be_focused()
    form(tab).get_by_label("API key").fill("mr_0123456789ab_wrong")
    tab.keyboard.press("Enter")
    expect(form(tab)).to_have_accessible_description("This is no key of this server.")
    enter(tab, token)
    expect_a_list(tab)


def test_a_forgotten_key_leaves_nothing_and_no_is_an_answer(tab: Page, door: Door) -> None:
    _, token = door.key()
    tab.goto(f"{door.url}/#ann")
    enter(tab, token)
    expect_a_list(tab)
    tab.get_by_role("button", name="Forget the key").click()
    expect(form(tab)).to_be_visible()
    assert token not in str(kept(tab))
    expect(tab.locator("#list .card")).to_have_count(0)
    tab.keyboard.press("Escape")
    expect(form(tab)).to_have_count(0)
    expect(tab.locator("#empty")).to_contain_text("Send a key")
    tab.get_by_role("button", name="Enter a key").click()
    enter(tab, token)
    expect_a_list(tab)


def test_a_revoked_key_is_asked_for_anew_and_the_click_goes_on(tab: Page, door: Door) -> None:
    key_id, token = door.key()
    tab.goto(f"{door.url}/#ann")
    enter(tab, token)
    tab.wait_for_load_state("networkidle")  # else what is still on its way is refused first
    expect_a_list(tab)
    door.revoke(key_id)
    tab.locator("#list .card").first.get_by_role("button", name="Cart:").click()
    expect(form(tab)).to_have_accessible_description("The key was revoked.")
    enter(tab, door.key()[1])
    expect(tab.locator("#trip-end")).to_contain_text("Your list")


def test_a_key_of_one_user_shows_that_user_and_says_no_to_others(tab: Page, door: Door) -> None:
    _, token = door.key(user="ann")
    tab.goto(door.url)
    enter(tab, token)
    expect(tab.locator("#empty")).to_contain_text("bound to one user")
    tab.get_by_label("Shopping as").fill("ann")
    tab.keyboard.press("Enter")
    expect_a_list(tab)
    tab.get_by_label("Shopping as").fill("kim")
    tab.keyboard.press("Enter")
    expect(tab.locator("#empty")).to_contain_text("bound to one user")
    expect(tab.locator("#list .card")).to_have_count(0)


def test_the_status_page_asks_no_more_once_a_person_has_said_no(tab: Page, door: Door) -> None:
    asked: list[str] = []
    tab.on("request", lambda request: asked.append(request.url) if "/api/" in request.url else None)
    tab.clock.install()
    tab.goto(f"{door.url}/status")
    form(tab).get_by_role("button", name="Not now").click()
    expect(tab.locator("#verdict")).to_contain_text("Send a key")
    expect(tab.locator("#asked")).to_have_text("Not asked again without another key.")
    before = len(asked)
    tab.clock.run_for(60_000)
    assert len(asked) == before == 1
    tab.get_by_role("button", name="Enter a key").click()
    enter(tab, door.key()[1])
    expect(tab.locator("#parts li", has_text="redis").locator("strong")).to_have_text("up")
    expect(tab.locator("#asked")).to_contain_text("again every")


def test_the_status_page_asks_no_more_with_a_key_that_may_not(tab: Page, door: Door) -> None:
    tab.clock.install()
    tab.goto(f"{door.url}/status")
    enter(tab, door.key(user="ann")[1])
    expect(tab.locator("#verdict")).to_contain_text("bound to one user")
    expect(tab.locator("#asked")).to_have_text("Not asked again without another key.")
    expect(tab.get_by_role("button", name="Forget the key")).to_be_visible()
