"""Where webhooks may go.

Whoever may define a hook could else make the projector call what only it can reach: the stores, services of
the machine itself, the metadata of a cloud's machine. So an address counts as it was looked up, whatever the
name was, and the connection goes to that very address.
"""

import socket
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network

from flower_projector.own_threads import in_own_thread

Address = IPv4Address | IPv6Address

_PRIVATE = tuple(
    ip_network(one) for one in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7")
)
# Where clouds tell their machines secrets; such an address is only allowed as a network of its own.
_METADATA = (ip_address("fd00:ec2::254"), ip_address("100.100.100.200"))
_NAT64 = IPv6Network("64:ff9b::/96")


class Networks:
    """What ``FLOWER_HOOK_NETWORKS`` allows."""

    def __init__(self, allowed: Iterable[str]) -> None:
        words = set(allowed)
        self._public = "public" in words
        self._private = "private" in words
        self._loopback = "loopback" in words
        self._networks = [ip_network(one) for one in words - {"public", "private", "loopback"}]

    def allows(self, address: Address) -> bool:
        """Whether a webhook may go there; an address that stands for another one counts as that one, too."""
        return all(self._allows(one) for one in (address, *_inner(address)))

    def _allows(self, address: Address) -> bool:
        if any(address in network for network in self._networks):
            return True
        if address.is_loopback:
            return self._loopback
        if any(address in network for network in _PRIVATE):
            return self._private and address not in _METADATA
        is_public = address.is_global and not address.is_multicast and not address.is_reserved
        return (self._public and is_public) or bool(_inner(address))


def _inner(address: Address) -> list[Address]:
    """The IPv4 address that an IPv6 address leads to."""
    if isinstance(address, IPv4Address):
        return []
    if address.ipv4_mapped is not None:
        return [address.ipv4_mapped]
    if address in _NAT64:
        return [IPv4Address(int(address) & 0xFFFFFFFF)]
    if address.sixtofour is not None:
        return [address.sixtofour]
    return [] if address.teredo is None else list(address.teredo)


class RefusedAddressError(Exception):
    """No address of the host may be called."""


async def addresses_of(host: str, port: int, networks: Networks) -> list[str]:
    """The addresses of a host that may be called, in the order in which they are to be tried.

    Raises:
        RefusedAddressError: there is none; says which there are.
        OSError: the host has none, or nobody can say.
    """
    found = await in_own_thread(lambda: socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
    texts = list(dict.fromkeys(str(entry[4][0]) for entry in found))
    allowed = [text for text in texts if networks.allows(ip_address(text.partition("%")[0]))]
    if not allowed:
        raise RefusedAddressError(
            f"{host} is {', '.join(texts)}, where webhooks may not go: FLOWER_HOOK_NETWORKS of the projector"
            " does not allow it"
        )
    return [text for text in allowed if "%" not in text] or allowed
