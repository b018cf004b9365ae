"""What is small, at work or drawn thin can be read: its contrast to what is behind it, in both themes.

Needs Debian's chromium (``apt-get install chromium``); ``-m "not browser"`` leaves these out.
"""

from typing import Any

import pytest
from playwright.sync_api import Browser, expect

pytestmark = pytest.mark.browser

CONTRAST = """([chain, colour]) => {
    const canvas = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
    const over = (colour, ground) => {
        for (const one of [`rgb(${ground})`, colour]) { canvas.fillStyle = one; canvas.fillRect(0, 0, 1, 1); }
        return [...canvas.getImageData(0, 0, 1, 1).data].slice(0, 3);
    };
    const light = (one) => {
        const [red, green, blue] = one.map((part) => (part <= 10.3 ? part / 3295 : ((part / 255 + 0.055) / 1.055) ** 2.4));
        return 0.05 + 0.2126 * red + 0.7152 * green + 0.0722 * blue;
    };
    const elements = chain.map(([kind, words]) => {
        const one = document.createElement(kind);
        for (const [name, value] of Object.entries(words)) one.setAttribute(name, value);
        return one;
    });
    const main = document.querySelector("main");
    elements.at(-1).style.color = colour;
    elements.reduce((around, one) => around.appendChild(one), main);
    // The ground and the words, one element over the other, each as opaque as it is.
    const seen = ([first, ...rest], under) => {
        const { backgroundColor, color, opacity } = getComputedStyle(first), own = over(backgroundColor, under);
        const both = rest.length ? seen(rest, own) : [own, over(color, own)];
        return both.map((one) => one.map((part, at) => opacity * part + (1 - opacity) * under[at]));
    };
    const [ground, words] = seen([document.body, ...elements], [255, 255, 255]).map(light);
    elements[0].remove();
    return Math.max(ground, words) / Math.min(ground, words);
}"""
"""Of the words in the last of elements that lie in each other, ``[[kind, attributes], …]``, to their ground; or of a line
of a colour of its own."""
CARD = ["div", {"class": "card"}]
LEAST: dict[str, tuple[Any, ...]] = {
    "small words of what is chosen in a list": (4.5, [["a", {"class": "item", "aria-current": "true"}], ["small", {}]]),
    "a button at work": (4.5, [CARD, ["button", {"aria-busy": "true"}]]),
    "the main button at work": (4.5, [CARD, ["button", {"class": "primary big", "aria-busy": "true"}]]),
    "a quiet button at work": (4.5, [["button", {"class": "quiet small", "aria-busy": "true"}]]),
    "the line of what is trained on": (3.0, [CARD], "var(--train)"),
    "the pencil of a level": (
        3.0,
        [CARD, ["div", {"class": "level-name"}], ["button", {"class": "quiet small rename"}]],
    ),
}


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_on_a_phone_too_everything_can_be_read(browser: Browser, server: str, theme: Any) -> None:
    """Guards against half opaque words that are all that is said of the work, such as "Importing 3 of 10"."""
    window = browser.new_context(base_url=server, color_scheme=theme, has_touch=True, is_mobile=True)
    page = window.new_page()
    page.goto("/#/codes")
    expect(page.locator(".empty h2")).to_be_visible()
    found = {name: page.evaluate(CONTRAST, [chain, *colour, ""]) for name, (_, chain, *colour) in LEAST.items()}
    window.close()
    assert {name: ratio for name, ratio in found.items() if ratio < LEAST[name][0]} == {}
