"""Headless Chromium, spoken to through a pipe: pages opened, measured, printed and pictured in tests."""

import base64
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Literal

PROGRAM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
"""Path of the browser; None on a machine without one."""

PHONE, DESK = 390, 1280
"""Widths of screens in pixels."""


class Browser:
    """Browser with one page, for as long as the context lasts."""

    def __init__(self, folder: Path) -> None:
        if PROGRAM is None:
            raise FileNotFoundError("There is no Chromium on this machine.")
        to_browser, self._out = os.pipe()
        self._in, from_browser = os.pipe()
        # The browser reads file descriptor 3 and writes 4; the shell gives it ours under these numbers.
        options = "--headless=new --no-sandbox --disable-gpu --no-first-run --disable-dev-shm-usage --hide-scrollbars"
        command = f'exec "$0" {options} --remote-debugging-pipe --user-data-dir="$1" 3<&{to_browser} 4>&{from_browser}'
        with (folder / "chromium.log").open("wb") as log:
            self._process = subprocess.Popen(
                ["bash", "-c", command, PROGRAM, str(folder / "profile")],
                pass_fds=(to_browser, from_browser),
                stdout=log,
                stderr=log,
            )
        os.close(to_browser)
        os.close(from_browser)
        self._rest, self._number = b"", 0
        target = self._ask("Target.createTarget", {"url": "about:blank"})["targetId"]
        attached = self._ask("Target.attachToTarget", {"targetId": target, "flatten": True})
        self._session: str = attached["sessionId"]
        self.messages: list[str] = []
        for domain in ("Page", "Runtime", "Log"):
            self.ask(f"{domain}.enable")

    def __enter__(self) -> "Browser":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._out)  # the end of its input ends the browser
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        os.close(self._in)

    def ask(self, method: str, **parameters: Any) -> Any:
        """Ask the page something by the DevTools protocol."""
        return self._ask(method, parameters, self._session)

    def screen(self, width: int, height: int = 844, theme: Literal["light", "dark"] = "light") -> None:
        """Set the size of the screen and the theme that the reader prefers."""
        self.ask(
            "Emulation.setDeviceMetricsOverride",
            **{"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width <= PHONE},
        )
        features = [{"name": "prefers-color-scheme", "value": theme}]
        self.ask("Emulation.setEmulatedMedia", media="", features=features)

    def open(self, address: str) -> None:
        """Open a page and wait until it is loaded."""
        self.messages.clear()
        self.ask("Page.navigate", url=address)
        ready = "document.readyState === 'complete' && location.href !== 'about:blank'"
        wait = f"new Promise(r => {{ const f = () => {ready} ? r(1) : setTimeout(f, 20); f(); }})"
        self.evaluate(wait)

    def evaluate(self, script: str) -> Any:
        """Value of an expression in the page; of a promise the value that it comes to."""
        answer = self.ask("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in answer:
            raise AssertionError(answer["exceptionDetails"])
        return answer["result"].get("value")

    def picture(self, path: Path) -> None:
        """Write a picture of the whole page as PNG."""
        answer = self.ask("Page.captureScreenshot", format="png", captureBeyondViewport=True)
        path.write_bytes(base64.b64decode(answer["data"]))

    def printed(self, path: Path) -> None:
        """Print the page as PDF, on the paper that it asks for."""
        answer = self.ask("Page.printToPDF", preferCSSPageSize=True, printBackground=False)
        path.write_bytes(base64.b64decode(answer["data"]))

    def _ask(self, method: str, parameters: dict[str, Any], session: str | None = None) -> Any:
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        message |= {} if session is None else {"sessionId": session}
        os.write(self._out, json.dumps(message).encode() + b"\0")
        for answer in self._answers():
            if answer.get("id") == self._number:
                if "error" in answer:
                    raise AssertionError(f"{method}: {answer['error']}")
                return answer["result"]
            if answer.get("method") == "Log.entryAdded":
                self.messages.append(answer["params"]["entry"]["text"])
            elif answer.get("method") == "Runtime.exceptionThrown":
                self.messages.append(str(answer["params"]["exceptionDetails"]))
        raise AssertionError("The browser ended.")

    def _answers(self) -> Iterator[dict[str, Any]]:
        while True:
            while b"\0" not in self._rest:
                piece = os.read(self._in, 1 << 20)
                if not piece:
                    return
                self._rest += piece
            first, _, self._rest = self._rest.partition(b"\0")
            yield json.loads(first)


@contextmanager
def opened(page: Path, folder: Path, width: int = DESK) -> Iterator[Browser]:
    """Open a page of a file in a browser of its own."""
    with Browser(folder) as browser:
        browser.screen(width)
        browser.open(page.as_uri())
        yield browser


SMALLEST = 9
"""Least height of a text, in pixels of the screen."""

LAYOUT = """(() => {
  const faults = [], width = document.documentElement.clientWidth;
  if (document.documentElement.scrollWidth > width) faults.push(`page is ${document.documentElement.scrollWidth} wide`);
  const scrolls = (at) => { for (; at; at = at.parentElement) if (at.matches(".scroll")) return true; return false; };
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const node = walker.currentNode, holder = node.parentElement;
    if (!node.data.trim() || !holder.checkVisibility() || holder.matches("script, style, title, desc, .skip")) continue;
    const range = document.createRange(); range.selectNodeContents(node);
    const drawing = holder.closest("svg");
    const matrix = drawing && holder.getScreenCTM ? holder.getScreenCTM() : null;
    const size = parseFloat(getComputedStyle(holder).fontSize) * (matrix ? Math.hypot(matrix.b, matrix.d) : 1);
    if (size < SMALLEST - 0.05) faults.push(`${size.toFixed(1)} px: ${node.data.trim().slice(0, 60)}`);
    if (scrolls(holder)) continue;
    const box = drawing ? holder.getBoundingClientRect() : range.getBoundingClientRect();
    if (box.right > width + 1 || box.left < -1) faults.push(`beyond the edge: ${node.data.trim().slice(0, 60)}`);
  }
  for (const drawing of document.querySelectorAll("svg")) {
    const box = drawing.getBoundingClientRect();
    if (!scrolls(drawing) && (box.right > width + 1 || box.left < -1)) faults.push("drawing beyond the edge");
    const texts = [...drawing.querySelectorAll("text")].map((at) => [at.getBoundingClientRect(), at.textContent]);
    texts.forEach(([one, words], place) => texts.slice(place + 1).forEach(([two, others]) => {
      const across = Math.min(one.right, two.right) - Math.max(one.left, two.left);
      const down = Math.min(one.bottom, two.bottom) - Math.max(one.top, two.top);
      if (across > 2 && down > 5) faults.push(`texts over one another: ${words} | ${others}`);
    }));
  }
  return faults;
})()""".replace("SMALLEST", str(SMALLEST))
"""Faults of a page's layout: texts too small, beyond the edge, or over one another in a drawing."""
