"""Hosts by name or IP address."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address


def ip_address_of(host: str) -> IPv4Address | IPv6Address | None:
    """The IP address that a host is written as; None for a name."""
    try:
        return ip_address(host)
    except ValueError:
        return None


def is_loopback(host: str) -> bool:
    """Whether requests to this host stay on the machine."""
    address = ip_address_of(host)
    return address.is_loopback if address is not None else f".{host}".endswith(".localhost")
