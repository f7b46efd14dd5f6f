"""Addresses as a person writes them."""

import pytest

from common.addresses import host_port, parse_host, split_address


@pytest.mark.parametrize(
    ("text", "host"),
    [
        ("fl.example.org", "fl.example.org"),
        ("a_b-c", "a_b-c"),
        ("1st.example.org", "1st.example.org"),
        ("192.0.2.1", "192.0.2.1"),
        ("[2001:DB8:0::1]", "2001:db8::1"),
        ("::1", "::1"),
        ("fd00::", "fd00::"),
    ],
)
def test_a_host_is_a_name_or_an_ip_address(text: str, host: str) -> None:
    assert parse_host(text) == host


@pytest.mark.parametrize(
    "text",
    [
        *(
            "",
            ".",
            "a..b",
            "-a",
            "a-",
            "two words",
            "a/b",
            "a:b",
            "é.example.org",
            "a" * 64,
            f"{'a.' * 127}a",
        ),
        *(
            "256.1.1.1",
            "1.2",
            "0.0.0.0",
            "::",
            "ff02::1",
            "224.0.0.1",
            "fe80::1%eth0",
            "[fl.example.org]",
            "a\n",
        ),
    ],
)
def test_what_nobody_can_dial_is_no_host(text: str) -> None:
    with pytest.raises(ValueError, match="is"):
        parse_host(text)


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("fl.example.org:443", ("fl.example.org", 443)),
        ("192.0.2.1:65535", ("192.0.2.1", 65535)),
        ("[2001:db8::1]:9443", ("2001:db8::1", 9443)),
    ],
)
def test_an_address_is_read_as_it_is_written(text: str, parts: tuple[str, int]) -> None:
    assert split_address(text) == parts
    assert host_port(*parts) == text


@pytest.mark.parametrize(
    "text",
    [
        *(
            "fl.example.org",
            "fl.example.org:",
            "fl.example.org:0",
            "fl.example.org:65536",
            "host:1e3",
            ":443",
        ),
        *(
            "2001:db8::1:9443",
            "[2001:db8::1]",
            "host:\uff11\uff12",
            f"host:{'9' * 5000}",
            "https://fl.example.org:443",
        ),
    ],
)
def test_what_is_no_address_is_not_read(text: str) -> None:
    with pytest.raises(ValueError, match=r"is|has"):
        split_address(text)


@pytest.mark.parametrize("text", ["proxy", "[2001:db8::1]", "192.0.2.1"])
def test_a_port_may_be_left_out_where_there_is_a_usual_one(text: str) -> None:
    assert split_address(text, 80) == (text.strip("[]"), 80)
    assert split_address(f"{text}:81", 80) == (text.strip("[]"), 81)
