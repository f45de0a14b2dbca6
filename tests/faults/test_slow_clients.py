"""Connections that send half a request and then nothing are cut, and nobody else notices. A small version of T10."""

from __future__ import annotations

import socket
from contextlib import ExitStack

import pytest

from tests.faults.server import Collector, event, post_batch

CONNECTIONS = 100
HEADERS = b"POST /v1/collect?site=%s HTTP/1.1\r\nHost: collect.example\r\nContent-Type: text/plain\r\n"
LENGTH = b"Content-Length: 500\r\n"


@pytest.mark.parametrize(
    ("sent", "answer"),
    [
        pytest.param(HEADERS, b"", id="half the headers"),
        pytest.param(HEADERS + LENGTH + b"\r\n" + b'{"sent_at"', b"HTTP/1.1 408 ", id="half the body"),
    ],
)
def test_half_a_request_is_cut_while_others_are_served(collector: Collector, sent: bytes, answer: bytes) -> None:
    collector.settings = {"REGULARS_HEADER_TIMEOUT_S": "1", "REGULARS_BODY_TIMEOUT_S": "1"}
    keys = collector.add_site()
    collector.start()
    with ExitStack() as stack:
        slow = [
            stack.enter_context(socket.create_connection(("127.0.0.1", collector.port), timeout=20))
            for _ in range(CONNECTIONS)
        ]
        for connection in slow:
            connection.sendall(sent.replace(b"%s", keys.write_key.encode()))
        assert post_batch(collector.url, keys.write_key, [event(1)]).json()["accepted"] == 1
        for connection in slow:
            with connection.makefile("rb") as reading:
                assert reading.read().startswith(answer)  # ends when the collector has closed it
    assert post_batch(collector.url, keys.write_key, [event(2)]).json()["accepted"] == 1
