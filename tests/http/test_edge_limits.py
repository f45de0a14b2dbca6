"""The table of limits and bad input (spec/wire.md), row by row, over HTTP."""

from __future__ import annotations

import asyncio
import gzip
import io
import zlib
from typing import Any

import orjson
import pytest
from structlog.testing import capture_logs

from collector.domain.event import EventCode, Outcome
from collector.domain.site import Site
from collector.recorder import QueueFull, StorageUnavailable
from collector.web.limits import Limits
from tests.http.edge_place import ORIGIN, PLAIN, SITE, Place, counts, growth, open_place, refused, with_settings
from tests.unit.wire_samples import batch, event, user

DISABLED = Site(5, "old", "key-of_the-past", (ORIGIN,), SITE.settings, disabled=True)


async def test_a_good_batch_is_recorded_and_counted(place: Place) -> None:
    before = counts()
    sent = [event(), event()]
    response = await place.sends(*sent)
    assert response.status == 200
    assert response.json == {
        "accepted": 2,
        "duplicate": 0,
        "quarantined": 0,
        "suppressed": 0,
        "results": [],
    }
    (arrival,) = place.recorder.arrivals
    assert [made.event_id for made in arrival.events] == [made["event_id"] for made in sent]
    assert (arrival.site, arrival.indexes, arrival.rejections) == (SITE, (0, 1), ())
    assert sum(len(orjson.dumps(made)) for made in sent) < arrival.size < 2000
    assert growth(before) == {"received": 2, "stored": 2}


async def test_a_bad_event_is_quarantined_and_its_neighbours_stored(place: Place) -> None:
    before = counts()
    bad = event(seq="x")
    response = await place.sends(event(), bad, event())
    assert response.status == 200
    reply = response.json
    assert (reply["accepted"], reply["quarantined"]) == (2, 1)
    assert reply["results"] == [
        {"index": 1, "event_id": bad["event_id"], "status": "quarantined", "code": "invalid_field", "field": "seq"}
    ]
    assert [rejection.code for rejection in place.recorder.arrivals[0].rejections] == [EventCode.INVALID_FIELD]
    assert growth(before) == {"received": 3, "stored": 2, "quarantined": 1}


async def test_warnings_are_told(place: Place) -> None:
    sent = event()
    place.recorder.outcomes = (Outcome(0, sent["event_id"], "warned", "blocked_identifier"),)
    reply = (await place.sends(sent)).json
    assert reply["accepted"] == 1
    assert reply["results"] == [
        {"index": 0, "event_id": sent["event_id"], "status": "warned", "code": "blocked_identifier", "field": ""}
    ]


async def test_unknown_key_and_disabled_site() -> None:
    async with open_place(sites=(SITE, DISABLED)) as place:
        for key, status, code in [
            ("nobody", 401, "unknown_key"),
            ("", 401, "unknown_key"),
            ("%ff%00", 401, "unknown_key"),
            (DISABLED.write_key, 403, "site_disabled"),
        ]:
            before = counts()
            failure = refused(await place.post(batch(event()), site=key))
            assert (failure.status, failure.code, failure.is_retryable) == (status, code, False)
            assert failure.headers["Access-Control-Allow-Origin"] == ORIGIN, "the page must be able to read why"
            assert growth(before) == {"received": 1, "refused": 1, f"refused {code}": 1}
        assert place.recorder.arrivals == []


async def test_a_key_is_found_wherever_it_stands_in_the_query(place: Place) -> None:
    for query in (f"site={SITE.write_key}&x=1", f"x=1&site={SITE.write_key}", "site=key%2Dof_the-shop"):
        response = await place.ask("POST", f"/v1/collect?{query}", {"Origin": ORIGIN} | PLAIN, batch(event()))
        assert response.status == 200


async def test_an_origin_that_is_not_listed_gets_nothing(place: Place) -> None:
    for origin in ("https://evil.example", "null", "https://shop.example:8443", "http://shop.example", "*"):
        before = counts()
        failure = refused(await place.post(batch(event()), Origin=origin))
        assert (failure.status, failure.code) == (403, "origin_not_allowed")
        assert "Access-Control-Allow-Origin" not in failure.headers
        assert growth(before) == {"received": 1, "refused": 1, "refused origin_not_allowed": 1}


async def test_other_methods_and_unknown_routes(place: Place) -> None:
    for method, path, allowed in [
        ("GET", "/v1/collect", "OPTIONS, POST"),
        ("PUT", "/v1/collect?site=key-of_the-shop", "OPTIONS, POST"),
        ("DELETE", "/v1/consent", "OPTIONS, POST"),
        ("POST", "/v1/pixel.gif", "GET, HEAD"),
        ("POST", "/sdk.js", "GET, HEAD"),
        ("OPTIONS", "/healthz", "GET, HEAD"),
    ]:
        failure = refused(await place.ask(method, path))
        assert (failure.status, failure.code) == (405, "method_not_allowed")
        assert failure.headers["Allow"] == allowed
    for path in ("/", "/v1", "/v1/collect/", "/v2/collect", "/<script>", "/sdk/1.2.3/other.js", "/%00"):
        response = await place.ask("GET", path)
        failure = refused(response)
        assert (failure.status, failure.code) == (404, "not_found")
        assert b"script" not in response.body, "never an echo"


@pytest.mark.parametrize(
    "content_type",
    [
        "text/plain",
        "TEXT/PLAIN; charset=utf-8",
        'application/json; charset="UTF-8"',
        "application/json",
        "application/x+json",
    ],
)
async def test_json_and_plain_text_are_taken(place: Place, content_type: str) -> None:
    assert (await place.post(batch(event()), Content_Type=content_type)).status == 200


@pytest.mark.parametrize(
    "content_type",
    [
        "application/x-www-form-urlencoded",
        "multipart/form-data",
        "text/html",
        "application/octet-stream",
        "text/plain;charset=utf-16",
    ],
)
async def test_other_content_types_are_refused(place: Place, content_type: str) -> None:
    failure = refused(await place.post(batch(event()), Content_Type=content_type))
    assert (failure.status, failure.code) == (415, "unsupported_media_type")


@pytest.mark.parametrize("encoding", ["br", "deflate", "gzip, gzip", "x-gzip", "zstd", "nonsense"])
async def test_other_encodings_are_refused(place: Place, encoding: str) -> None:
    failure = refused(await place.post(batch(event()), Content_Encoding=encoding))
    assert (failure.status, failure.code) == (415, "unsupported_encoding")


@pytest.mark.parametrize("encoding", ["gzip", "GZIP", "identity"])
async def test_gzip_once_or_nothing_is_taken(place: Place, encoding: str) -> None:
    data = batch(event())
    body = data if encoding == "identity" else gzip.compress(data)
    assert (await place.post(body, Content_Encoding=encoding)).status == 200


HALF = gzip.compress(batch(event()))
BROKEN = {
    "not gzip": b"{}",
    "nothing": b"",
    "half": HALF[:-20],
    "without its checksum": HALF[:-8],
    "wrong checksum": HALF[:-8] + b"\0" * 8,
    "trailing data": HALF + b"x",
    "zlib": zlib.compress(batch(event())),
}


@pytest.mark.parametrize("kind", BROKEN)
async def test_broken_gzip(place: Place, kind: str) -> None:
    failure = refused(await place.post(BROKEN[kind], Content_Encoding="gzip"))
    assert (failure.status, failure.code) == (400, "malformed_gzip")


BOMBS = {
    "too large unzipped": gzip.compress(bytes(range(256)) * 4200, 1),
    "ratio": gzip.compress(b'{"events":[' + b" " * 900_000 + b"]}"),
    "huge": gzip.compress(b" " * 50_000_000),
    "two members": HALF + HALF,
    "nested": gzip.compress(gzip.compress(b" " * 50_000_000)),
}


@pytest.mark.parametrize("kind", BOMBS)
async def test_bombs_and_several_members(place: Place, kind: str) -> None:
    failure = refused(await place.post(BOMBS[kind], Content_Encoding="gzip"))
    expected = (400, "malformed_json") if kind == "nested" else (413, "body_too_large")
    assert (failure.status, failure.code) == expected


async def test_a_body_may_have_512_kib(place: Place) -> None:
    limit = 512 * 1024
    data = batch(event())
    assert (await place.post(data + b" " * (limit - len(data)))).status == 200
    failure = refused(await place.post(data + b" " * (limit - len(data) + 1)))
    assert (failure.status, failure.code) == (413, "body_too_large")


async def test_the_reply_to_a_huge_body_arrives_and_the_connection_lives(place: Place) -> None:
    for _ in range(3):
        failure = refused(await place.post(io.BytesIO(b" " * 5_000_000)))
        assert failure.code == "body_too_large"
    assert (await place.sends(event())).status == 200


async def test_a_huge_body_without_a_length_is_refused_as_it_comes(place: Place) -> None:
    async def endless() -> Any:
        for _ in range(40):
            yield b" " * 65_536

    failure = refused(
        await place.ask("POST", f"/v1/collect?site={SITE.write_key}", {"Origin": ORIGIN} | PLAIN, endless())
    )
    assert (failure.status, failure.code) == (413, "body_too_large")


@pytest.mark.parametrize(
    "body", [b"", b"{", b"\xef\xbb\xbf{}", b'{"events":[NaN]}', b'{"events":[1e400]}', b'{"a":"\xff"}', b"{}{}"]
)
async def test_malformed_json_is_kept_for_a_look(place: Place, body: bytes) -> None:
    before = counts()
    failure = refused(await place.post(body))
    assert (failure.status, failure.code) == (400, "malformed_json")
    assert place.recorder.raw == [(SITE.site_id, "malformed_json", body)]
    assert growth(before) == {"received": 1, "refused": 1, "refused malformed_json": 1}


async def test_no_more_than_64_kib_of_it_are_kept(place: Place) -> None:
    await place.post(b"x" * 100_000)
    assert [len(raw) for _, _, raw in place.recorder.raw] == [64 * 1024]


async def test_501_events_are_too_many_and_all_are_counted(place: Place) -> None:
    before = counts()
    failure = refused(await place.post({"events": [1] * 501}))
    assert (failure.status, failure.code, failure.is_retryable) == (413, "too_many_events", False)
    assert place.recorder.raw == []
    assert growth(before) == {"received": 501, "refused": 501, "refused too_many_events": 501}


@pytest.mark.parametrize(
    ("failure", "status", "code"),
    [
        (QueueFull(), 503, "storage_unavailable"),
        (StorageUnavailable(), 503, "storage_unavailable"),
        (StorageUnavailable("storage_full", 30), 503, "storage_full"),
    ],
)
async def test_storage_that_cannot_is_503_with_a_time_to_wait(
    place: Place, failure: Exception, status: int, code: str
) -> None:
    place.recorder.fails = failure
    before = counts()
    answer = refused(await place.sends(event(), event()))
    assert (answer.status, answer.code, answer.is_retryable) == (status, code, True)
    assert int(answer.headers["Retry-After"]) >= 1
    assert answer.headers["Access-Control-Allow-Origin"] == ORIGIN
    assert "Retry-After" in answer.headers["Access-Control-Expose-Headers"]
    assert growth(before) == {"received": 2, "refused": 2, f"refused {code}": 2}
    malformed = refused(await place.post(b"{"))
    assert malformed.code == code, "what cannot be kept now is to be sent again"


async def test_a_bug_is_500_with_fixed_text_and_a_request_id(place: Place) -> None:
    place.recorder.fails = RuntimeError("a detail of ours")
    before = counts()
    with capture_logs() as logged:
        response = await place.sends(event(title="a secret of theirs"))
    failure = refused(response)
    assert (failure.status, failure.code, failure.is_retryable) == (500, "internal", True)
    assert failure.headers["Access-Control-Allow-Origin"] == ORIGIN
    assert b"ours" not in response.body
    (entry,) = logged
    assert entry == {
        "event": "request_failed",
        "log_level": "error",
        "request_id": failure.headers["X-Request-Id"],
        "route": "collect",
        "exc_info": place.recorder.fails,
    }
    assert growth(before) == {"received": 1, "refused": 1, "refused internal": 1}


@pytest.mark.parametrize("kind", ["per_key", "per_address"])
async def test_too_fast_is_429_with_a_time_to_wait(kind: str) -> None:
    async with open_place(limits=Limits(**{kind: 0.2})) as place:  # two at once, then one in five seconds
        assert [(await place.sends(event())).status for _ in range(2)] == [200, 200]
        before = counts()
        failure = refused(await place.sends(event()))
        assert (failure.status, failure.code, failure.is_retryable) == (429, "rate_limited", True)
        assert 1 <= int(failure.headers["Retry-After"]) <= 5
        assert failure.headers["Access-Control-Allow-Origin"] == ORIGIN
        assert growth(before) == {"received": 1, "refused": 1, "refused rate_limited": 1}


async def test_identifying_too_often_costs_the_assertion_and_never_the_event() -> None:
    async with open_place(limits=Limits(identify_per_device=2)) as place:
        said = [user("identify", {"customer_id": f"c{number}"}) for number in range(4)]
        response = await place.sends(*said, event())
        assert response.json["accepted"] == 5
        (arrival,) = place.recorder.arrivals
        assert [made.assertion is not None for made in arrival.events] == [True, True, False, False, False]
        assert [made.warnings for made in arrival.events[2:]] == [("identify_rate_limited",)] * 2 + [()]


@pytest.mark.parametrize(
    ("headers", "is_bot"),
    [
        ({"User-Agent": "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"}, False),
        ({"User-Agent": "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"}, True),
        ({"User-Agent": "curl/8.0"}, True),
        ({"User-Agent": "Firefox", "Sec-Purpose": "prefetch;prerender"}, True),
        ({"User-Agent": "Firefox", "Purpose": "prefetch"}, True),
    ],
)
async def test_bots_and_prefetches_are_stored_and_marked(place: Place, headers: dict[str, str], is_bot: bool) -> None:
    assert (
        await place.sends(event(), **{name.replace("-", "_"): value for name, value in headers.items()})
    ).status == 200
    (arrival,) = place.recorder.arrivals
    assert (arrival.bot, arrival.user_agent) == (is_bot, headers["User-Agent"])


async def test_a_user_agent_that_is_no_text_does_no_harm(place: Place) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", int(place.url.rpartition(":")[2]))
    data = batch(event())
    head = f"POST /v1/collect?site={SITE.write_key} HTTP/1.1\r\nHost: x\r\nContent-Type: text/plain\r\n"
    writer.write(
        head.encode()
        + b"User-Agent: a\xff\xfeb"
        + b"c" * 2000
        + f"\r\nContent-Length: {len(data)}\r\n\r\n".encode()
        + data
    )
    assert (await reader.readline()).startswith(b"HTTP/1.1 200")
    writer.close()
    await writer.wait_closed()
    agent = place.recorder.arrivals[0].user_agent
    assert len(agent.encode()) <= 600


async def test_the_sites_setting_reaches_the_parser() -> None:
    async with open_place(sites=(with_settings(SITE, purchases_assert=True),)) as place:
        await place.sends(event(category="order", dims={"customers": {"customer_id": "c1"}}))
        assertion = place.recorder.arrivals[0].events[0].assertion
        assert assertion is not None
        assert assertion.cid == "c1"


async def test_a_client_that_waits_for_100_continue_is_told_to_go_on(place: Place) -> None:
    async with place.session.post(
        f"{place.url}/v1/collect?site={SITE.write_key}",
        data=batch(event()),
        headers={"Origin": ORIGIN} | PLAIN,
        expect100=True,
    ) as response:
        assert response.status == 200
