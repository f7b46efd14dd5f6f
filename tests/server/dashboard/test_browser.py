"""The command `consilium coordinator dashboard`, looked at by a real browser."""

import base64
import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from server.home.places import CoordinatorHome
from tests.chromium import DESK, LAYOUT, PHONE, PROGRAM, Browser
from tests.server.dashboard.recorded import coordinator, exchange, record, start, write

pytestmark = pytest.mark.slow
needs_browser = pytest.mark.skipif(PROGRAM is None, reason="there is no Chromium here")
CONSILIUM = (sys.executable, "-m", "consilium", "coordinator", "dashboard")


@contextmanager
def dashboard(home: CoordinatorHome, *options: str) -> Iterator[tuple[str, "subprocess.Popen[str]"]]:
    """The address of a dashboard that runs, and its process."""
    process = subprocess.Popen(
        [*CONSILIUM, str(home.folder), "--port", "0", "--json", *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert process.stdout is not None
    try:
        lines = [process.stdout.readline() for _ in range(3)]
        yield json.loads("".join(lines))["address"], process
    finally:
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 0


@pytest.fixture
def home(tmp_path: Path) -> CoordinatorHome:
    return coordinator(tmp_path / "home")


def until(browser: Browser, condition: str) -> None:
    """Wait until an expression in the page holds."""
    end = time.monotonic() + 20
    while not browser.evaluate(condition):
        assert time.monotonic() < end, condition
        time.sleep(0.2)


@needs_browser
def test_a_page_follows_a_run_and_says_when_the_dashboard_is_gone(
    home: CoordinatorHome, tmp_path: Path
) -> None:
    out = start(home, "1")
    write(out, exchange(1))
    with Browser(tmp_path) as browser:
        with dashboard(home) as (address, _):
            browser.screen(DESK)
            browser.open(f"{address}/runs/1")
            browser.evaluate("window.stayed = true")
            assert browser.evaluate("document.getElementById('receipts').innerText").count("round 1") == 0
            for number in range(2, 6):
                write(out, exchange(number, *(["north"] if number == 3 else [])))
                until(browser, f"document.querySelector('#course dl').innerText.includes('{number} of 30')")
            write(out, record("completed", rounds=5, best_round=4, best_loss=0.4))
            until(browser, "document.getElementById('course').innerText.includes('Completed.')")
            assert browser.evaluate("window.stayed")
            assert browser.evaluate("document.querySelectorAll('#course .save').length") == 3
            assert "nothing came back" in browser.evaluate(
                "document.getElementById('hospitals').innerText.toLowerCase()"
            )
            browser.open(f"{address}/")
            start(home, "2")
            until(
                browser,
                "document.getElementById('latest').innerText.includes('Waiting') || "
                "document.getElementById('runs').innerText.includes('started')",
            )
            assert browser.messages == []
        until(browser, "document.getElementById('link').innerText.includes('not answered')")


@needs_browser
def test_pages_fit_a_phone_and_a_desk(home: CoordinatorHome, tmp_path: Path) -> None:
    out = start(home, "1")
    write(out, *(exchange(number, *(["north"] if number % 4 == 0 else [])) for number in range(1, 20)))
    (home.logs / "superlink.log").write_text("a line of a log " * 40)
    with Browser(tmp_path) as browser, dashboard(home) as (address, _):
        for width in (DESK, PHONE):
            browser.screen(width, theme="dark")
            for path in ("/", "/runs/1", "/runs/1/exchanges/3", "/logs"):
                browser.open(address + path)
                assert browser.evaluate(LAYOUT) == [], (width, path)
                assert browser.messages == []


def test_an_address_that_others_reach_needs_a_token_and_tls(home: CoordinatorHome) -> None:
    def code(address: str, token: str | None) -> int:
        port = address.rpartition(":")[2]
        context = ssl.create_default_context(cafile=str(home.authority))
        context.check_hostname = False
        request = urllib.request.Request(f"https://127.0.0.1:{port}/")
        if token is not None:
            request.add_header("Authorization", "Basic " + base64.b64encode(f":{token}".encode()).decode())
        try:
            return int(urllib.request.urlopen(request, context=context, timeout=10).status)
        except urllib.error.HTTPError as error:
            return error.code

    command = [*CONSILIUM, str(home.folder), "--host", "0.0.0.0", "--port", "0"]
    refused = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "--new-token" in refused.stderr
    made = subprocess.run(
        [*CONSILIUM, str(home.folder), "--new-token", "--json"], capture_output=True, check=True
    )
    token = json.loads(made.stdout)["token"]
    with dashboard(home, "--host", "0.0.0.0") as (address, process):
        assert address.startswith("https://")
        assert (code(address, None), code(address, "wrong"), code(address, token)) == (401, 401, 200)
    assert process.stdout is not None
    assert token not in process.stdout.read()


def test_a_port_that_is_taken_and_open_streams_end_in_order(home: CoordinatorHome) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        command = [*CONSILIUM, str(home.folder), "--port", str(taken.getsockname()[1])]
        refused = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
        assert (refused.returncode, refused.stdout) == (2, "")
    with dashboard(home) as (address, _):
        streams = [urllib.request.urlopen(f"{address}/events", timeout=10) for _ in range(12)]
        assert all(stream.readline() == b"retry: 2000\n" for stream in streams)
