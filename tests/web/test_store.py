"""What a person sees and does on the storefront."""

from __future__ import annotations

from playwright.sync_api import Page, expect


def test_a_click_is_followed_until_it_is_in_the_list(page: Page) -> None:
    page.locator("#list .card").nth(1).get_by_role("button", name="Buy:").click()
    expect(page.locator("#trip-end")).to_contain_text("Your list")
    for step in ("sent", "kafka", "store", "list"):
        expect(page.locator(f'#trip [data-step="{step}"] span')).to_have_text("ms", use_inner_text=True)
