"""Proxies of the environment, and the coordinators that are dialled without them."""

import pytest

from client.flower.route import environment_of, is_exempt, open_client, route_to
from client.site_folder.certificate import coordinator_context
from client.site_folder.places import Connection
from common.errors import MachineError
from tests.client.coordinator_stub import Authority, serving
from tests.client.proxy import proxy

AWAY = Connection(coordinator="fl.example.org:9443")
PROXY, OTHER = "http://proxy.intranet:3128", "http://other.intranet:3128"


@pytest.mark.parametrize(
    ("environ", "address"),
    [
        ({}, None),
        ({"HTTPS_PROXY": PROXY}, "proxy.intranet:3128"),
        ({"https_proxy": PROXY, "HTTPS_PROXY": OTHER}, "proxy.intranet:3128"),
        ({"https_proxy": "", "HTTPS_PROXY": OTHER}, None),
        ({"ALL_PROXY": OTHER, "HTTPS_PROXY": PROXY}, "proxy.intranet:3128"),
        ({"all_proxy": "socks5://proxy.intranet", "https_proxy": PROXY}, "proxy.intranet:3128"),
        ({"ALL_PROXY": PROXY}, "proxy.intranet:3128"),
        ({"HTTP_PROXY": PROXY, "http_proxy": PROXY}, None),
        ({"Https_Proxy": PROXY}, None),
        ({"https_proxy": "proxy.intranet"}, "proxy.intranet:80"),
        ({"https_proxy": " HTTPS://proxy.intranet/ "}, "proxy.intranet:443"),
        ({"https_proxy": "http://[2001:db8::1]:3128"}, "[2001:db8::1]:3128"),
        ({"https_proxy": PROXY, "no_proxy": "fl.example.org"}, None),
        ({"https_proxy": "socks5://proxy.intranet", "NO_PROXY": "fl.example.org"}, None),
        (
            {"https_proxy": PROXY, "no_proxy": "other.org", "NO_PROXY": "fl.example.org"},
            "proxy.intranet:3128",
        ),
        ({"https_proxy": PROXY, "no_proxy": "", "NO_PROXY": "fl.example.org"}, "proxy.intranet:3128"),
    ],
)
def test_the_proxy_that_counts(environ: dict[str, str], address: str | None) -> None:
    route = route_to(AWAY, environ)
    assert (route.proxy.address if route.proxy else None) == address
    if route.proxy is None:
        assert set(route.unused) == {name for name in environ if "NO" not in name.upper() and environ[name]}
    handed_on = {**environ, **environment_of(route, environ)}
    again = route_to(AWAY, handed_on)
    assert again.proxy is None or route.proxy is not None
    assert (again.proxy.url if again.proxy else None) == (route.proxy.url if route.proxy else None)


@pytest.mark.parametrize(
    "value",
    [
        *(
            "socks5://proxy:1080",
            "socks5h://me:word@proxy:1080",
            "socks4://proxy",
            "ftp://proxy",
            "direct://",
        ),
        *(
            "http://",
            "http://proxy:0",
            "http://proxy:none",
            "http://proxy/proxy.pac",
            "two words",
            "http://[::1",
        ),
        *("http://me:CANARY@", "file:///CANARY"),
    ],
)
def test_a_proxy_that_cannot_be_used_is_told_by_its_variable_alone(value: str) -> None:
    with pytest.raises(MachineError) as raised:
        route_to(AWAY, {"ALL_PROXY": value})
    assert raised.value.where == "ALL_PROXY"
    assert "CANARY" not in str(raised.value)
    assert "word" not in str(raised.value)


@pytest.mark.parametrize(
    ("coordinator", "listed", "exempt"),
    [
        ("localhost:9443", "", True),
        ("127.0.0.1:9443", "", True),
        ("[::1]:9443", "", True),
        ("127.0.0.2:9443", "", False),
        ("fl.example.org:9443", "other.org,fl.example.org", True),
        ("fl.example.org:9443", "other.org fl.example.org", True),
        ("FL.example.org:9443", "example.ORG", True),
        ("fl.example.org:9443", ".example.org", True),
        ("fl.example.org:9443", "*.example.org", True),
        ("fl.example.org:9443", "ample.org", False),
        ("fl.example.org:9443", "x.fl.example.org", False),
        ("fl.example.org:9443", "*", True),
        ("fl.example.org:9443", "fl.example.org:9443", True),
        ("fl.example.org:9443", "fl.example.org:443", False),
        ("fl.example.org:9443", ",,/,[,:,://", False),
        ("192.0.2.7:9443", "192.0.2.7", True),
        ("192.0.2.7:9443", "192.0.2.7:9443", True),
        ("192.0.2.7:9443", "192.0.2.0/24", True),
        ("192.0.2.7:9443", "192.0.3.0/24", False),
        ("192.0.2.7:9443", "0.2.7", False),
        ("192.0.2.7:9443", "2.7", False),
        ("[2001:db8::7]:9443", "2001:db8:0::7", True),
        ("[2001:db8::7]:9443", "[2001:db8::7]", True),
        ("[2001:db8::7]:9443", "[2001:db8::7]:9443", True),
        ("[2001:db8::7]:9443", "2001:db8::/32", True),
        ("[2001:db8::7]:9443", "192.0.2.0/24", False),
    ],
)
def test_coordinators_that_are_dialled_directly(coordinator: str, listed: str, exempt: bool) -> None:
    connection = Connection(coordinator=coordinator)
    for name in ("no_proxy", "NO_PROXY"):
        assert is_exempt(connection, {name: listed}) is exempt


def test_a_process_that_dials_nobody_else_is_left_one_variable() -> None:
    environ = {"HTTPS_PROXY": PROXY, "all_proxy": OTHER, "Ftp_Proxy": OTHER, "NO_PROXY": "x", "PATH": "/bin"}
    left = environment_of(route_to(AWAY, environ), environ)
    assert {name: value for name, value in left.items() if value} == {"https_proxy": PROXY}
    assert set(left) == {*environ, "https_proxy"} - {"PATH"}


@pytest.mark.parametrize("password", ["secret", "p@s:s/w#r?d %41%", "pässwört"])
def test_a_proxy_is_shown_the_user_and_password_whatever_signs_are_in_them(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch, password: str
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")  # the environment of this process is not asked
    shown = password.replace("%41", "A")
    authority = Authority(tmp_path_factory.mktemp("authority"))
    with serving(authority) as port, proxy(login=f"site:{shown}") as between:
        url = f"http://site:{password}@{between.address}"
        away = Connection(coordinator="192.0.2.1:9443")
        route = route_to(away, {"https_proxy": url})
        assert "site" not in repr(route)
        context = coordinator_context(authority.certificate, None)
        with open_client(route, context, 10) as client:
            assert client.get(f"https://127.0.0.1:{port}/health").status_code == 200
        assert between.asked == [f"127.0.0.1:{port}"]
