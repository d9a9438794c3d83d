"""The page in a real browser, where Chromium is on the path: errors, width, colours, what it fetches."""

import base64
import fcntl
import itertools
import json
import os
import select
import shutil
import signal
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

import pytest

from edgesr.bench.record import Record, write_record
from edgesr.bench.report.page import write_report

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
FLAGS = """
--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking --disable-component-update
--disable-sync --disable-dev-shm-usage --hide-scrollbars --remote-debugging-pipe
"""
SECONDS = 60.0
PHONE, DESK = 390, 1280

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on the path")


class Browser:
    """A headless Chromium with one page, spoken to by the DevTools protocol through pipes; no network port."""

    def __init__(self, program: str, profile: Path) -> None:
        (commands, self._write), (self._read, answers) = os.pipe(), os.pipe()
        moved = [fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, 10) for end in (commands, answers)]
        silent = [(os.POSIX_SPAWN_OPEN, number, os.devnull, os.O_RDWR, 0) for number in (0, 1, 2)]
        piped = [(os.POSIX_SPAWN_DUP2, end, number) for end, number in zip(moved, (3, 4), strict=True)]
        arguments = [program, *FLAGS.split(), f"--user-data-dir={profile}", "about:blank"]
        self._pid = os.posix_spawn(program, arguments, os.environ, file_actions=[*silent, *piped], setpgroup=0)
        for end in (commands, answers, *moved):
            os.close(end)
        self._numbers, self._pending, self._session = itertools.count(1), b"", ""
        self.events: list[dict[str, Any]] = []
        self._session = self._attach()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        os.killpg(self._pid, signal.SIGKILL)
        os.waitpid(self._pid, 0)
        os.close(self._write)
        os.close(self._read)

    def ask(self, method: str, **parameters: Any) -> dict[str, Any]:
        """A command's result; what happens meanwhile is added to `events`."""
        number = next(self._numbers)
        session = {"sessionId": self._session} if self._session else {}
        message = {"id": number, "method": method, "params": parameters, **session}
        os.write(self._write, json.dumps(message).encode() + b"\0")
        while (answer := self._message()).get("id") != number:
            self.events.append(answer)
        assert "error" not in answer, answer
        result: dict[str, Any] = answer["result"]
        return result

    def value(self, expression: str) -> Any:
        """What an expression is in the page."""
        return self.ask("Runtime.evaluate", expression=expression, returnByValue=True)["result"].get("value")

    def show(self, page: Path, *, width: int, dark: bool = False) -> None:
        """Load a file in a window of this width."""
        self.events.clear()
        self.ask("Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=width < 600)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.ask("Emulation.setEmulatedMedia", features=[scheme])
        self.ask("Page.navigate", url=page.as_uri())
        while not any(event.get("method") == "Page.loadEventFired" for event in self.events):
            self.events.append(self._message())

    def press(self, key: str) -> None:
        """A key, down and up."""
        for kind in ("keyDown", "keyUp"):
            self.ask("Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode={"Tab": 9, "Enter": 13}[key])

    def screenshot(self, path: Path) -> None:
        """The whole page as a PNG."""
        path.write_bytes(base64.b64decode(self.ask("Page.captureScreenshot", captureBeyondViewport=True)["data"]))

    def _attach(self) -> str:
        targets = self.ask("Target.getTargets")["targetInfos"]
        target = next(each["targetId"] for each in targets if each["type"] == "page")
        self._session = self.ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.ask(f"{domain}.enable")
        return self._session

    def _message(self) -> dict[str, Any]:
        end = time.monotonic() + SECONDS
        while b"\0" not in self._pending:
            assert select.select([self._read], [], [], max(0.0, end - time.monotonic()))[0], "Chromium is silent"
            part = os.read(self._read, 1 << 20)
            assert part, "Chromium has ended"
            self._pending += part
        text, _, self._pending = self._pending.partition(b"\0")
        message: dict[str, Any] = json.loads(text)
        return message


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    assert CHROMIUM is not None
    with Browser(CHROMIUM, tmp_path_factory.mktemp("profile")) as opened:
        yield opened


@pytest.fixture
def written(every_status: Record, tmp_path: Path) -> Path:
    write_record(tmp_path / "record.json", every_status)
    return write_report([tmp_path / "record.json"], tmp_path / "report.html").path


def complaints(browser: Browser) -> list[Any]:
    """Errors and warnings of the console, exceptions, and whatever the page asked of a network."""
    told = ("Log.entryAdded", "Runtime.exceptionThrown", "Runtime.consoleAPICalled")
    requests = [event["params"]["request"]["url"] for event in browser.events if event["method"] == "Network.requestWillBeSent"]
    return [e for e in browser.events if e["method"] in told] + [
        url for url in requests if not url.startswith(("file:", "data:"))
    ]


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("width", [PHONE, DESK])
def test_it_loads_without_complaint_and_only_tables_scroll_sideways(
    browser: Browser, written: Path, width: int, dark: bool
) -> None:
    browser.show(written, width=width, dark=dark)
    browser.value("document.querySelectorAll('details').forEach(each => each.open = true)")
    assert complaints(browser) == []
    assert browser.value("document.documentElement.scrollWidth") == width
    assert browser.value("innerWidth") == width, "the phone would zoom out"
    inside = (
        "[...document.querySelectorAll('.scroll, svg, img, figure')].every(e => e.getBoundingClientRect().right <= innerWidth)"
    )
    assert browser.value(inside)
    assert browser.value("[...document.images].every(each => each.complete && each.naturalWidth === 96)")
    if width == PHONE:
        scrolls = "[...document.querySelectorAll('.scroll')].filter(each => each.scrollWidth > each.clientWidth).length"
        assert browser.value(scrolls) >= 3


@pytest.mark.parametrize("width", [PHONE, DESK])
def test_no_word_of_a_chart_is_cut_off(browser: Browser, written: Path, width: int) -> None:
    browser.show(written, width=width)
    cut = """
    [...document.querySelectorAll('svg text')].filter(word => {
        const [inner, outer] = [word.getBoundingClientRect(), word.ownerSVGElement.getBoundingClientRect()];
        const sideways = inner.left < outer.left - 1 || inner.right > outer.right + 1;
        return sideways || inner.top < outer.top - 3 || inner.bottom > outer.bottom + 3;
    }).map(word => word.textContent)
    """
    assert browser.value(cut) == []


def test_dark_mode_is_dark_and_light_mode_light(browser: Browser, written: Path) -> None:
    sheet = "getComputedStyle(document.querySelector('.chart')).backgroundColor"
    word = "getComputedStyle(document.querySelector('svg .strong')).fill"
    found = {}
    for dark in (False, True):
        browser.show(written, width=DESK, dark=dark)
        found[dark] = (browser.value(sheet), browser.value(word))
    assert found == {False: ("rgb(255, 255, 255)", "rgb(27, 33, 39)"), True: ("rgb(26, 30, 34)", "rgb(231, 234, 237)")}


def test_it_can_be_used_by_keyboard(browser: Browser, written: Path) -> None:
    browser.show(written, width=DESK)
    browser.press("Tab")
    assert browser.value("document.activeElement.className") == "skip"
    assert browser.value("document.activeElement.getBoundingClientRect().top") >= 0
    assert browser.value("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    browser.press("Enter")
    assert browser.value("location.hash") == "#glance"
    reached = set()
    for _ in range(40):
        browser.press("Tab")
        reached.add(browser.value("document.activeElement.className + ' ' + document.activeElement.localName"))
    assert {"scroll div", " summary", " a"} <= reached


def test_a_screen_reader_is_told_names_and_descriptions(browser: Browser, written: Path) -> None:
    browser.show(written, width=DESK)
    browser.ask("Accessibility.enable")
    nodes = browser.ask("Accessibility.getFullAXTree")["nodes"]
    told = [{key: node.get(key, {}).get("value", "") for key in ("role", "name", "description")} for node in nodes]
    charts = [each for each in told if each["role"] in ("image", "img") and each["description"]]
    assert any("Pareto front" in chart["description"] for chart in charts)
    assert all(chart["name"] for chart in charts)
    assert "openvino, struck out" in [each["name"].replace(" ,", ",") for each in told if each["role"] == "rowheader"]


def test_names_from_a_record_run_nothing(browser: Browser, every_status: Record, tmp_path: Path) -> None:
    hostile = "</style></title><script>window.bad = 1</script><img src=x onerror='window.bad = 1'><svg onload='window.bad = 1'>"
    cells = tuple(replace(cell, subject=replace(cell.subject, model=hostile), reason=hostile) for cell in every_status.cells)
    write_record(tmp_path / "record.json", replace(every_status, cells=cells, command=hostile, environment={hostile: hostile}))
    browser.show(write_report([tmp_path / "record.json"], tmp_path / "report.html").path, width=PHONE)
    assert browser.value("window.bad === undefined && document.querySelectorAll('script').length") == 0
    assert complaints(browser) == []
    assert browser.value("innerWidth") == PHONE
