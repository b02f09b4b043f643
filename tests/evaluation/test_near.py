"""Which servers are asked without a proxy."""

from __future__ import annotations

import socket

import pytest

from kawhi.evaluation import near


@pytest.mark.parametrize(
    "host", ["localhost", "127.0.0.1", "::1", "[::1]", "10.2.3.4", "gpu-node-07", socket.gethostname()]
)
def test_a_node_is_asked_directly(host):
    near.is_near.cache_clear()
    assert near.is_near(host)


@pytest.mark.parametrize(
    ("host", "address", "expected"),
    [
        ("gpu7.cluster.example", "10.1.2.3", True),
        ("api.example.com", "8.8.8.8", False),
        ("nowhere.example", None, False),
    ],
)
def test_a_full_name_is_asked_directly_where_its_address_is_the_site_s(monkeypatch, host, address, expected):
    def look_up(name, port, **_):
        if address is None:
            raise socket.gaierror
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 0))]

    near.is_near.cache_clear()
    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    assert near.is_near(host) == expected
