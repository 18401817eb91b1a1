"""What a person sees and does on the storefront and on the status page."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from serving.routes.page import FILES
from tests.unit.serving.world import World


def first_names(page: Page) -> list[str]:
    """The products of the list, in order."""
    return page.locator("#list .name").all_text_contents()


def button(page: Page, card: Locator, name: str) -> Locator:
    """A button of a card."""
    return card.get_by_role("button", name=f"{name}:")


def test_an_action_is_followed_until_the_list_knows(page: Page, shop: World) -> None:
    card = page.locator("#list .card").nth(1)
    bought = card.locator(".name").text_content()
    button(page, card, "Buy").click()
    expect(page.locator("#trip-end")).to_contain_text("Your list")
    for step in ("sent", "kafka", "store", "list"):
        said = page.locator(f'#trip [data-step="{step}"] span')
        expect(said).to_have_text(re.compile(r"^\d+ ms$"))
    expect(page.locator("#actions li").first).to_contain_text(f"bought {bought}")
    assert shop.hot.read_user("ann").recents[0].type == "purchase"


def test_what_is_not_for_me_leaves_the_list(page: Page) -> None:
    unwanted = first_names(page)[0]
    with page.expect_request("**/api/feedback"):  # which does not wait for the stream
        button(page, page.locator("#list .card").first, "Not for me").click()
    expect(page.locator("#trip-end")).to_contain_text("Your list")
    assert unwanted not in first_names(page)


def test_a_product_opens_with_what_is_like_it_and_closes_by_key(page: Page) -> None:
    card = page.locator("#list .card", has_text="Butter").first
    card.locator(".open").click()
    dialog = page.get_by_role("dialog", name="Butter")
    expect(dialog.locator(".similar .card").first).to_be_visible()
    assert "Butter" not in dialog.locator(".similar .name").all_text_contents()
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    expect(page.locator("#because-title")).to_have_text("Because you opened Butter")


def test_search_finds_by_words_and_says_when_there_is_nothing(page: Page) -> None:
    words = page.get_by_role("searchbox", name="Search the shop")
    words.fill("chee")
    words.press("Enter")
    expect(page.locator("#found .name")).to_have_text(["Cheese"])
    words.fill("submarine")
    words.press("Enter")
    expect(page.locator("#found-empty")).to_be_visible()


def test_a_new_visitor_is_personal_after_one_click(page: Page) -> None:
    page.get_by_role("button", name="New visitor").click()
    expect(page.locator("#subtitle")).to_contain_text("new visitor")
    expect(page.locator("#actions-empty")).to_be_visible()
    page.locator("#list .card .open").first.click()
    page.keyboard.press("Escape")
    expect(page.locator("#trip-end")).to_contain_text("Your list")
    expect(page.locator("#list .reason", has_text="because you viewed").first).to_be_visible()


def test_another_kind_of_list_is_another_list(page: Page) -> None:
    page.get_by_label("Shopping as").fill("kim")
    page.get_by_role("button", name="Go").click()
    page.get_by_text("Buy again").click()
    expect(page.locator("#list .name")).to_have_count(4)
    page.get_by_text("Discover").click()
    expect(page.locator("#list .name", has_text="Cheese")).to_have_count(0)


def test_kafka_out_is_said_and_nothing_pretends(page: Page, shop: World) -> None:
    shop.kafka.out = True
    try:
        with page.expect_response("**/api/interactions") as refused:
            button(page, page.locator("#list .card").first, "Cart").click()
        assert refused.value.status == 503
        expect(page.locator("#trip-end")).to_contain_text("Kafka")
        expect(page.locator('#trip [data-step="kafka"]')).not_to_have_class("reached")
    finally:
        shop.kafka.out = False


def test_pictures_are_decoration_and_the_first_key_skips_to_the_list(page: Page) -> None:
    pictures = page.locator("#list .picture")
    hidden = pictures.evaluate_all("all => all.every(one => one.ariaHidden === 'true')")
    assert hidden
    assert pictures.count() > 0
    assert all(first_names(page))
    page.keyboard.press("Tab")
    expect(page.locator(".skip")).to_be_focused()


def test_nothing_is_wider_than_a_telephone(browser: Browser, url: str) -> None:
    page = browser.new_page(viewport={"width": 360, "height": 740})
    page.goto(f"{url}/#ann")
    page.wait_for_selector("#list .card")
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    page.close()


@pytest.mark.parametrize("name", sorted(name for name in FILES if name.endswith(".html")))
def test_pages_hold_no_script_of_their_own(name: str) -> None:
    """The content security policy forbids it; markup never comes from data."""
    text = FILES[name].read_text()
    assert "<script>" not in text
    assert not re.search(r"\son\w+=|style=", text)
    scripts = [path.read_text() for path in FILES.values() if path.suffix == ".js"]
    assert not any("innerHTML" in script for script in scripts)
