import base64
from pathlib import Path

import pytest

from common.files import is_private
from server.dashboard.access import new_token, token_hash
from server.home.places import CoordinatorHome
from tests.server.dashboard.recorded import Visitor, coordinator


@pytest.fixture
def home(tmp_path: Path) -> CoordinatorHome:
    return coordinator(tmp_path / "home")


@pytest.fixture
def browser(home: CoordinatorHome) -> Visitor:
    return Visitor(home)


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"])
def test_nothing_can_be_asked_for_but_pages(browser: Visitor, method: str) -> None:
    assert browser.request(method, "/").status_code == 405
    assert browser.request("GET", "/").status_code == browser.request("HEAD", "/").status_code == 200


@pytest.mark.parametrize(
    ("host", "code"),
    [
        ("127.0.0.1:9480", 200),
        ("localhost:8000", 200),
        ("[::1]:9480", 200),
        ("HUB.example.org", 200),
        ("10.1.2.3:9480", 200),
        ("evil.example", 421),
        ("127.0.0.1.evil.example:9480", 421),
        ("localhost.evil.example", 421),
        ("evil.example@127.0.0.1", 200),  # no browser sends it, and it leads nowhere else
        ("", 421),
        ("[::1", 421),
    ],
)
def test_names_that_may_be_rebound_are_refused(browser: Visitor, host: str, code: int) -> None:
    assert browser.get("/status.json", headers={"Host": host}).status_code == code


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({"Origin": "http://127.0.0.1:9480"}, 200),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "script"}, 403),
        ({"Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "cors"}, 403),
        ({"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "iframe"}, 403),
        ({"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}, 200),
        ({"Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "cors"}, 200),
    ],
)
def test_pages_of_other_sites_get_nothing(browser: Visitor, headers: dict[str, str], code: int) -> None:
    assert browser.get("/", headers=headers).status_code == code


def test_every_answer_is_kept_by_no_cache_and_shown_in_no_frame(browser: Visitor) -> None:
    for path in ("/", "/logs", "/status.json", "/nowhere"):
        headers = browser.get(path).headers
        assert headers["Cache-Control"] == "no-store"
        assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
        assert "default-src 'none'" in headers["Content-Security-Policy"]


def basic(password: str) -> str:
    return "Basic " + base64.b64encode(f"me:{password}".encode()).decode()


def test_once_a_token_is_made_each_request_brings_it(home: CoordinatorHome) -> None:
    assert token_hash(home) is None
    token = new_token(home)
    assert is_private(home.dashboard_token)
    assert token not in home.dashboard_token.read_text()
    browser = Visitor(home)
    wrong = [
        None,
        basic(""),
        basic(token[:-1]),
        f"Bearer {token}x",
        f"Digest {token}",
        "Basic !",
        "Basic /w==",
        token,
    ]
    for credentials in wrong:
        headers = {} if credentials is None else {"Authorization": credentials}
        answer = browser.get("/", headers=headers)
        assert (answer.status_code, answer.headers["WWW-Authenticate"][:5]) == (401, "Basic")
    for credentials in (basic(token), f"Bearer {token}"):
        assert browser.get("/", headers={"Authorization": credentials}).status_code == 200
    assert new_token(home) != token
