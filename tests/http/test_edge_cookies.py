"""Both cookies: signed, renewed, never adopted from elsewhere; and what stands in where they do not come back."""

from __future__ import annotations

from dataclasses import replace

import pytest

from collector.domain.site import Site
from collector.web.cookies import CookieJar
from collector.web.limits import Limits
from tests.http.edge_place import (
    ORIGIN,
    OTHER,
    SECRET,
    SITE,
    Place,
    counts,
    growth,
    open_place,
    pair,
    set_cookies_of,
)
from tests.unit.wire_samples import batch, event, uuid7

DAY_MS = 86_400_000
CONTACT, OTHER_CONTACT, SDK_DEVICE = uuid7(71), uuid7(72), uuid7(73)


def last_device(place: Place) -> str | None:
    return place.recorder.arrivals[-1].device_id


def last_contact(place: Place) -> str | None:
    return place.recorder.arrivals[-1].contact_id


async def visit(place: Place, **headers: str) -> str:
    """A first visit; the cookies that it leaves, as a browser sends them back."""
    place.recorder.contact_id = CONTACT
    made = set_cookies_of(await place.sends(event(), **headers))
    assert set(made) == {"GlobalVisit", "CurrentContact"}
    return "; ".join(pair(header) for header in made.values())


async def test_a_first_visit_is_given_both_cookies(place: Place) -> None:
    place.recorder.contact_id = CONTACT
    made = set_cookies_of(await place.sends(event()))
    for header in made.values():
        assert header.endswith("; Max-Age=34128000; Path=/; HttpOnly; SameSite=Lax"), "395 days"
        assert "Domain" not in header
    assert pair(made["GlobalVisit"]).startswith(f"GlobalVisit={last_device(place)}.")
    assert pair(made["CurrentContact"]).startswith(f"CurrentContact={CONTACT}.")
    assert last_contact(place) is None


async def test_cookies_that_come_back_are_read_and_left_alone(place: Place) -> None:
    cookies = await visit(place)
    device = last_device(place)
    assert set_cookies_of(await place.sends(event(), cookies=f"a=b; {cookies}; GlobalVisitor=x")) == {}
    assert (last_device(place), last_contact(place)) == (device, CONTACT)


async def test_the_contact_moves_with_what_the_recorder_says(place: Place) -> None:
    cookies = await visit(place)
    place.recorder.contact_id = OTHER_CONTACT
    made = set_cookies_of(await place.sends(event(), cookies=cookies))
    assert set(made) == {"CurrentContact"}
    assert OTHER_CONTACT in made["CurrentContact"]
    place.recorder.contact_id = None
    assert set_cookies_of(await place.sends(event(), cookies=cookies)) == {}


async def test_without_cookies_the_sdks_device_stands_in_and_none_is_minted(place: Place) -> None:
    for _ in range(2):
        made = set_cookies_of(await place.sends(event(), device=SDK_DEVICE.upper()))
        assert last_device(place) == SDK_DEVICE
        assert made["GlobalVisit"].startswith(f"GlobalVisit={SDK_DEVICE}.")


async def test_the_cookie_counts_more_than_the_sdks_device(place: Place) -> None:
    cookies = await visit(place)
    device = last_device(place)
    await place.sends(event(), device=SDK_DEVICE, cookies=cookies)
    assert last_device(place) == device


async def test_cookies_are_renewed_on_a_later_day_and_live_395_days(place: Place) -> None:
    cookies = await visit(place)
    device = last_device(place)
    place.clock[0] += DAY_MS
    made = set_cookies_of(await place.sends(event(), cookies=cookies))
    assert set(made) == {"GlobalVisit", "CurrentContact"}
    assert last_device(place) == device
    renewed = "; ".join(pair(header) for header in made.values())
    place.clock[0] += 395 * DAY_MS
    await place.sends(event(), cookies=renewed)
    assert (last_device(place), last_contact(place)) == (device, CONTACT)
    place.clock[0] += DAY_MS
    await place.sends(event(), cookies=renewed)
    assert last_device(place) != device
    assert last_contact(place) is None


def made_by(secret: str, site: Site, day: int) -> str:
    """The value of a cookie made with a secret, for a site."""
    jar = CookieJar(secret, is_secure=False)
    return pair(jar.write("GlobalVisit", site.site_id, SDK_DEVICE, day * DAY_MS, suffixed=False)).partition("=")[2]


def spoil(kind: str, cookies: str) -> str:
    device, contact = cookies.split("; ")
    if kind == "swapped":
        return device.replace("GlobalVisit", "CurrentContact") + "; " + contact.replace("CurrentContact", "GlobalVisit")
    name, _, value = device.partition("=")
    identifier, day, signature = value.split(".")
    spoilt = {
        "another value": f"{SDK_DEVICE}.{day}.{signature}",
        "another day": f"{identifier}.{int(day) + 1}.{signature}",
        "another signature": f"{identifier}.{day}.{signature[::-1]}",
        "no signature": f"{identifier}.{day}.",
        "no day": identifier,
        "another secret": made_by("x" * 32, SITE, int(day)),
        "another site": made_by(SECRET, OTHER, int(day)),
        "not an id": f"me.{day}.{signature}",
        "endless": "." * 3_000,
    }[kind]
    return f"{name}={spoilt}"


@pytest.mark.parametrize(
    "kind",
    [
        "another value",
        "another day",
        "another signature",
        "no signature",
        "no day",
        "another secret",
        "another site",
        "not an id",
        "swapped",
        "endless",
    ],
)
async def test_a_forged_or_foreign_cookie_is_ignored_counted_and_replaced(place: Place, kind: str) -> None:
    cookies = await visit(place)
    honest = last_device(place)
    before = counts()
    made = set_cookies_of(await place.sends(event(), cookies=spoil(kind, cookies)))
    assert last_device(place) not in (honest, SDK_DEVICE, CONTACT)
    assert last_contact(place) is None
    assert made["GlobalVisit"].startswith(f"GlobalVisit={last_device(place)}.")
    assert growth(before)["forged"] == (2 if kind == "swapped" else 1)


async def test_an_expired_cookie_is_no_forgery(place: Place) -> None:
    cookies = await visit(place)
    place.clock[0] += 400 * DAY_MS
    before = counts()
    await place.sends(event(), cookies=cookies)
    assert "forged" not in growth(before)


async def test_without_an_origin_cookies_are_neither_read_nor_set(place: Place) -> None:
    cookies = await visit(place)
    reply = await place.sends(event(), device=SDK_DEVICE, cookies=cookies, Origin="")
    assert reply.status == 200
    assert set_cookies_of(reply) == {}
    assert "Access-Control-Allow-Origin" not in reply.headers
    assert (last_device(place), last_contact(place)) == (None, None)


async def test_every_listed_origin_gets_its_own_name_back(place: Place) -> None:
    for origin in SITE.origins:
        reply = await place.sends(event(), Origin=origin)
        assert reply.headers["Access-Control-Allow-Origin"] == origin
        assert reply.headers["Access-Control-Allow-Credentials"] == "true"
        assert "Origin" in reply.headers["Vary"]


async def test_over_https_cookies_are_secure() -> None:
    async with open_place(cookies=CookieJar(SECRET, is_secure=True)) as place:
        made = set_cookies_of(await place.sends(event()))
        assert made["GlobalVisit"].endswith("; Path=/; HttpOnly; SameSite=Lax; Secure")


async def test_across_sites_cookies_are_partitioned() -> None:
    async with open_place(cookies=CookieJar(SECRET, is_secure=True, crosses_sites=True)) as place:
        made = set_cookies_of(await place.sends(event()))
        assert made["GlobalVisit"].endswith("; Path=/; HttpOnly; SameSite=None; Secure; Partitioned")


async def test_names_may_have_the_host_prefix() -> None:
    async with open_place(cookies=CookieJar(SECRET, is_secure=True, has_host_prefix=True)) as place:
        (name,) = made = set_cookies_of(await place.sends(event()))
        assert name == "__Host-GlobalVisit"
        device = last_device(place)
        await place.sends(event(), cookies=pair(made[name]))
        assert last_device(place) == device


async def test_a_host_of_several_sites_keeps_their_cookies_apart() -> None:
    async with open_place(sites=(SITE, OTHER)) as place:
        ours = set_cookies_of(await place.sends(event()))
        device = last_device(place)
        assert set(ours) == {f"GlobalVisit_{SITE.site_id}"}
        reply = await place.post(batch(event()), site=OTHER.write_key, Origin=OTHER.origins[0])
        theirs = set_cookies_of(reply)
        assert set(theirs) == {f"GlobalVisit_{OTHER.site_id}"}
        both = "; ".join(pair(header) for header in (ours | theirs).values())
        assert set_cookies_of(await place.sends(event(), cookies=both)) == {}
        assert last_device(place) == device


async def test_a_second_site_costs_the_first_one_no_visitor() -> None:
    async with open_place() as place:
        cookies = await visit(place)
        device = last_device(place)
        place.sites.append(OTHER)
        await place.edge.sites.refresh()
        before = counts()
        made = set_cookies_of(await place.sends(event(), cookies=cookies))
        assert (last_device(place), last_contact(place)) == (device, CONTACT)
        assert set(made) == {"GlobalVisit_3", "CurrentContact_3"}, "and they are renamed"
        await place.post(batch(event()), site=OTHER.write_key, Origin=OTHER.origins[0], Cookie=cookies)
        assert last_device(place) != device, "but void for the other site"
        assert "forged" not in growth(before)
        place.sites.pop()
        await place.edge.sites.refresh()
        renamed = "; ".join(pair(header) for header in made.values())
        assert set(set_cookies_of(await place.sends(event(), cookies=renamed))) == {"GlobalVisit", "CurrentContact"}
        assert last_device(place) == device


async def test_the_pace_of_one_browser_is_its_own() -> None:
    async with open_place(limits=Limits(per_device=0.1)) as place:
        cookies = await visit(place)
        assert (await place.sends(event(), cookies=cookies)).status == 200
        assert (await place.sends(event(), cookies=cookies)).status == 429
        assert (await place.sends(event())).status == 200


async def test_proxies_that_are_trusted_tell_the_address_and_others_do_not() -> None:
    forwarded = {"X_Forwarded_For": "203.0.113.7, 198.51.100.1"}
    for proxies, statuses in [((), [200, 429]), (("127.0.0.1", "198.51.100.0/24"), [200, 200])]:
        async with open_place(limits=Limits(per_address=0.1), proxies=proxies) as place:
            first = await place.sends(event(), **forwarded)
            second = await place.sends(event(), X_Forwarded_For="203.0.113.8, 198.51.100.1")
            assert [first.status, second.status] == statuses
            lied = await place.sends(event(), X_Forwarded_For="192.0.2.1, 203.0.113.8, 198.51.100.1")
            assert lied.status == 429, "what the client wrote itself does not count"


async def test_a_site_that_changes_is_noticed(place: Place) -> None:
    place.sites[0] = replace(SITE, origins=("https://new.example",))
    await place.edge.sites.refresh()
    assert (await place.sends(event(), Origin=ORIGIN)).status == 403
    assert (await place.sends(event(), Origin="https://new.example")).status == 200
