"""The five ways of returning, by which cookies are left."""

from __future__ import annotations

from tests.scenarios.people import X, returns_without_contact, somebody
from tests.stage import Stage


async def returning_with_all_cookies(stage: Stage) -> None:
    p = await somebody(stage)
    before, uid = await p.is_known_as(), p.uid
    stage.passes(days=30)
    p.arrives()
    await p.tracks()
    assert (await p.is_known_as(), p.uid) == (before, uid)
    assert len((await stage.person(uid=uid)).events) == 2


async def returning_with_only_the_script_cookie(stage: Stage) -> None:
    p = await somebody(stage)
    before, uid = await p.is_known_as(), p.uid
    p.loses("device", "contact")
    stage.passes(days=2)
    p.arrives()
    await p.tracks()
    assert (await p.is_known_as(), p.uid) == (before, uid)
    assert len((await stage.person(uid=uid)).events) == 2


async def returning_with_only_current_contact(stage: Stage) -> None:
    p = await somebody(stage)
    before, uid = await p.is_known_as(), p.uid
    p.loses("script", "device")
    stage.passes(days=2)
    p.arrives()
    await p.tracks()
    person = await stage.person(uid=p.uid)
    assert person.uids == {uid, p.uid}
    assert person.profile_id == await p.is_known_as() == before


async def returning_with_only_the_device_cookie(stage: Stage) -> None:
    p, uid = await returns_without_contact(stage)
    person = await stage.person(uid=p.uid)
    assert person.uids == {p.uid}, "a new anonymous profile"
    assert (await stage.person(uid=uid)).profile_id != person.profile_id
    await p.says(X)
    assert (await stage.person(cid=X)).uids == {uid, p.uid}, "back-filled at identification"


async def returning_without_cookies(stage: Stage) -> None:
    p = await somebody(stage)
    uid, device = p.uid, p.device_cookie
    p.loses()
    stage.passes(days=2)
    p.arrives()
    await p.tracks()
    assert p.device_cookie != device
    await p.says(X)
    assert (await stage.person(cid=X)).uids == {p.uid}
    assert (await stage.person(uid=uid)).uids == {uid}
