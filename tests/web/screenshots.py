"""Pictures of a running storefront for the documentation: `make screenshots`, after `make up`."""

from __future__ import annotations

import argparse
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

from infra.stack.stack import Stack
from tests.web.conftest import CHROMIUM

INTO = Path(__file__).parents[2] / "docs" / "pictures"


def take(page: Page, url: str, into: Path) -> None:
    """The storefront after a click, a product, the status page."""
    page.goto(url)
    page.wait_for_selector("#list .card")
    page.locator("#list .card .open").nth(2).click()
    page.wait_for_selector("#trip.done", timeout=20_000)
    page.wait_for_selector("#product .similar .card")
    page.screenshot(path=into / "product.png")
    page.keyboard.press("Escape")
    page.wait_for_timeout(600)
    page.screenshot(path=into / "store.png", full_page=True)
    page.goto(f"{url}/status")
    page.wait_for_selector("#parts li")
    page.screenshot(path=into / "status.png")


def main() -> None:
    """Takes them all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", default=Stack.from_environment().environment()["MILLRACE_SERVING"])
    parser.add_argument("--into", type=Path, default=INTO)
    options = parser.parse_args()
    if CHROMIUM is None:
        raise SystemExit("No Chromium here: `apt-get install -y chromium`, then again.")
    options.into.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        take(browser.new_page(viewport={"width": 1280, "height": 860}), options.url, options.into)
        browser.close()
    print(*sorted(str(path) for path in options.into.glob("*.png")), sep="\n")


if __name__ == "__main__":
    main()
