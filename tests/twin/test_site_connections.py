"""What site.toml may say of connections and of the cycle's wires."""

import re

import pytest

from twin.site import BacnetNetwork, Connection, CycleSettings


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"framing": "udp"}, "framing must be one of tcp, tls, rtu, rtu_over_tcp, got 'udp'"),
        ({"framing": "tls", "tls_ca": "ca.pem"}, "needs tls_ca, tls_cert and tls_key"),
        ({"framing": "rtu"}, "belong together"),
        ({"serial": "/dev/ttyUSB0"}, "belong together"),
        ({"framing": "rtu", "serial": "/dev/ttyUSB0", "links": 2}, "one request at a time"),
        ({"links": 9}, "links must be 1 to 8"),
        ({"delay_ms": -1}, "delay_ms must be 0 to 10000"),
        ({"baud": 1}, "baud must be 300 to 1000000"),
        ({"parity": "X"}, "parity must be one of N, E, O"),
    ],
)
def test_a_connection_that_cannot_work_is_refused_with_what_was_expected(settings, words):
    with pytest.raises(ValueError, match=re.escape(words)):
        Connection("modbus", **settings)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"bacnet_engine": "slow"}, "bacnet_engine must be one of fast, reference"),
        ({"fast_s": 60}, "must rise"),
        ({"slow_s": 9999}, "must rise"),
    ],
)
def test_rates_and_engine_are_held_to_what_there_is(settings, words):
    with pytest.raises(ValueError, match=words):
        CycleSettings(**settings)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"interface": "10.0.0.5"}, "our own address with its mask"),
        ({"interface": "eth0/24"}, "for example 10.0.0.5/24"),
        ({"port": 70000}, "port must be 0 to 65535"),
        ({"bbmd": "10.0.0.1"}, "bbmd must be host:port"),
        ({"bbmd_lifetime_s": 5}, "bbmd_lifetime_s must be 30 to 65535"),
        ({"sources": ("pump",)}, "sources must be IPv4 addresses"),
        ({"known": ("vav-1",)}, "known must be device instances"),
    ],
)
def test_a_bacnet_network_that_cannot_be_is_refused_with_what_was_expected(settings, words):
    with pytest.raises(ValueError, match=re.escape(words)):
        BacnetNetwork(**settings)
