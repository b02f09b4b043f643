"""Whether a server is one of this machine or its cluster, which a proxy to the outside cannot reach."""

from __future__ import annotations

import ipaddress
import socket
from functools import cache


@cache
def is_near(host: str) -> bool:
    """Whether a host is asked without a proxy: a name without a dot, as nodes have, or a private or own address.

    Args:
        host: a name or an address, as an URL has it.
    """
    name = host.strip("[]")
    try:
        return _of_here(name)
    except ValueError:
        pass  # a name
    if "." not in name or name in (socket.gethostname(), socket.getfqdn()):
        return True
    try:
        found = {str(address[0]) for *_, address in socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)}
    except OSError:
        return False  # only the proxy may know it
    return all(_of_here(address.partition("%")[0]) for address in found)


def _of_here(address: str) -> bool:
    """Raises:
    ValueError: it is no address.
    """
    found = ipaddress.ip_address(address)
    return found.is_private or found.is_loopback or found.is_link_local
