"""What listens on this machine is asked without the proxy that the environment names."""

import pytest

from core.proxies import spare_loopback


@pytest.mark.parametrize(
    ("kept", "then"),
    [
        ({}, "127.0.0.1,localhost,::1"),
        ({"NO_PROXY": "intranet.example, localhost"}, "intranet.example,localhost,127.0.0.1,::1"),
        ({"no_proxy": "a.example", "NO_PROXY": "b.example"}, "a.example,127.0.0.1,localhost,::1"),
    ],
    ids=["nothing kept", "some kept", "the lower case is the one that is read"],
)
def test_this_machine_is_added_to_those_that_need_no_proxy(kept, then):
    environ = {"http_proxy": "http://proxy.example:3128"} | kept
    spare_loopback(environ)

    assert (environ["no_proxy"], environ["NO_PROXY"]) == (then, then)


@pytest.mark.parametrize("environ", [{}, {"http_proxy": ""}, {"HTTPS_PROXY": "http://proxy.example", "no_proxy": "*"}])
def test_nothing_changes_without_a_proxy_or_when_nothing_needs_one(environ):
    before = dict(environ)
    spare_loopback(environ)

    assert environ == before
