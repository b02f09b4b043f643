"""A headless Chromium over its DevTools protocol: as much as the tests of a page need."""

from __future__ import annotations

import itertools
import json
import shutil
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from websockets.sync.client import connect

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
PATIENCE = 300  # seconds: it only guards against waiting without end


class Page:
    """One tab.

    Attributes:
        requests: addresses the page asked for.
        errors: what was written to the console as an error, and exceptions that nobody caught.
    """

    def __init__(self, socket):
        self._socket = socket
        self._numbers = itertools.count(1)
        self._loaded = False
        self.requests: list[str] = []
        self.errors: list[str] = []
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.call(f"{domain}.enable")
        self.call("Emulation.setFocusEmulationEnabled", enabled=True)  # else no focus event in a window without focus

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        number = next(self._numbers)
        self._socket.send(json.dumps({"id": number, "method": method, "params": parameters}))
        while True:
            message = json.loads(self._socket.recv(timeout=PATIENCE))
            self._note(message)
            if message.get("id") == number:
                if "error" in message:
                    raise RuntimeError(f"{method}: {message['error']['message']}")
                return message["result"]

    def open(self, file: Path, width: int, height: int = 900) -> None:
        """Loads a file in a window of this size; a headless window itself is never narrower than 500 pixels."""
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self.call("Emulation.setDeviceMetricsOverride", **size)
        self._loaded = False
        self.call("Page.navigate", url=file.resolve().as_uri())
        while not self._loaded:
            self._note(json.loads(self._socket.recv(timeout=PATIENCE)))

    def run(self, expression: str) -> Any:
        """The value of a JavaScript expression."""
        result = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in result:
            raise RuntimeError(result["exceptionDetails"]["exception"]["description"])
        return result["result"].get("value")

    def wait(self, milliseconds: int = 200) -> None:
        """For what the page does a little later."""
        self.run(f"new Promise(done => setTimeout(done, {milliseconds}))")

    def point_at(self, selector: str) -> None:
        """Moves the mouse onto the middle of an element."""
        where = self.run(
            f"(() => {{ const e = document.querySelector({json.dumps(selector)}); "
            "e.scrollIntoView({block: 'center'}); const r = e.getBoundingClientRect(); "
            "return [r.x + r.width / 2, r.y + r.height / 2]; })()"
        )
        self.call("Input.dispatchMouseEvent", type="mouseMoved", x=where[0], y=where[1])

    def press(self, key: str) -> None:
        codes = {"Tab": 9, "Enter": 13, "ArrowUp": 38, "ArrowDown": 40}
        for kind in ("keyDown", "keyUp"):
            self.call("Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=codes[key], text="")

    def overflow(self) -> int:
        """Pixels by which the page is wider than its window."""
        return self.run("document.documentElement.scrollWidth - innerWidth")

    def unlabelled(self) -> list[str]:
        """Ids that are there twice, and names of labels that are not there."""
        return self.run(
            """[...document.querySelectorAll("[id]")].map(e => e.id).filter((id, i, all) => all.indexOf(id) !== i)
            .concat([...document.querySelectorAll("[aria-labelledby]")].map(e => e.getAttribute("aria-labelledby"))
            .filter(id => !document.getElementById(id)))"""
        )

    def contrasts(self, selector: str) -> list[float]:
        """WCAG's contrast of the text of each element with what is under it; 4.5 can be read."""
        return self.run(
            f"[...document.querySelectorAll({json.dumps(selector)})].map(e => {{"
            """const canvas = document.createElement("canvas").getContext("2d", {willReadFrequently: true});
            const value = colour => { canvas.fillStyle = colour; canvas.fillRect(0, 0, 1, 1);
                const c = [...canvas.getImageData(0, 0, 1, 1).data].slice(0, 3).map(v => v / 255)
                .map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
                return 0.2126 * c[0] + 0.7152 * c[1] + 0.0722 * c[2]; };
            const under = e => { for (; e; e = e.parentElement) { const c = getComputedStyle(e).backgroundColor;
                if (c !== "rgba(0, 0, 0, 0)") return value(c); } return 1; };
            const [low, high] = [under(e), value(getComputedStyle(e).color)].sort((a, b) => a - b);
            return (high + 0.05) / (low + 0.05); })"""
        )

    def _note(self, message: dict[str, Any]) -> None:
        method, given = message.get("method"), message.get("params", {})
        if method == "Page.loadEventFired":
            self._loaded = True
        elif method == "Network.requestWillBeSent":
            self.requests.append(given["request"]["url"])
        elif method == "Runtime.exceptionThrown":
            self.errors.append(str(given["exceptionDetails"]))
        elif method == "Runtime.consoleAPICalled" and given["type"] in ("error", "warning", "assert"):
            self.errors.append(str(given["args"]))
        elif method == "Log.entryAdded" and given["entry"]["level"] in ("error", "warning"):
            self.errors.append(given["entry"]["text"])


@pytest.fixture(scope="module")
def tab(tmp_path_factory) -> Iterator[Page]:
    """A tab of a browser that no name resolves for; the browser is stopped by its own process id."""
    program = next((found for name in NAMES if (found := shutil.which(name))), None)
    if program is None:
        pytest.skip("no chromium on this machine: apt-get install chromium")
    folder = tmp_path_factory.mktemp("browser") / "profile"
    arguments = [
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--no-first-run",
        "--disable-background-networking",
        "--hide-scrollbars",
        "--host-resolver-rules=MAP * ~NOTFOUND",
        "--remote-debugging-port=0",  # it writes the port it took into its profile
        f"--user-data-dir={folder}",
        "about:blank",
    ]
    with open(folder.with_suffix(".log"), "wb") as log:
        process = subprocess.Popen([program, *arguments], stdout=log, stderr=log)
        try:
            with connect(_first_tab(folder, process), max_size=None) as socket:
                yield Page(socket)
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _first_tab(folder: Path, process: subprocess.Popen) -> str:
    """Its WebSocket address."""
    listed, until = folder / "DevToolsActivePort", time.monotonic() + PATIENCE
    while time.monotonic() < until and process.poll() is None:
        try:
            port = int(listed.read_text().splitlines()[0])
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/json/list", timeout=60) as answer:
                tabs = [tab for tab in json.load(answer) if tab["type"] == "page"]
            if tabs:
                return tabs[0]["webSocketDebuggerUrl"]
        except (OSError, ValueError, IndexError):
            pass
        time.sleep(0.1)
    raise RuntimeError(f"{process.args} did not start: {folder.with_suffix('.log').read_text(errors='replace')[-800:]}")
