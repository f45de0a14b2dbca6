"""The way into a collector that a browser takes: HTTP to the real application, with the cookies that it sets.

Browsers here have clocks of the past. The collector corrects for that as it does for any wrong clock, so what they
tracked keeps its distances in time.
"""

from __future__ import annotations

from http.cookies import SimpleCookie
from typing import Any, Literal

import orjson
from aiohttp import ClientResponse
from aiohttp.test_utils import TestClient

from tests.stage import Answer, Letter, Undone, View

ORIGIN = "https://shop.example"


class HttpTransport:
    """One site of a running collector."""

    def __init__(self, client: TestClient[Any, Any], write_key: str, secret: str):
        self.client = client
        self.write_key = write_key
        self.authorization = {"Authorization": f"Bearer {secret}"}

    async def deliver(self, letter: Letter) -> Answer:
        sent = {"GlobalVisit": letter.device_cookie, "CurrentContact": letter.contact_cookie}
        cookies = "; ".join(f"{name}={value}" for name, value in sent.items() if value is not None)
        response = await self.client.post(
            "/v1/collect",
            params={"site": self.write_key},
            data=orjson.dumps(letter.body),
            headers={"Origin": ORIGIN, "Content-Type": "text/plain;charset=UTF-8", "Cookie": cookies},
        )
        assert response.status == 200, await response.text()
        reply = await response.json()
        ids = [event["event_id"] for event in letter.body["events"]]
        assert all(ids[result["index"]] == result["event_id"] for result in reply["results"])
        return Answer(
            reply["accepted"],
            reply["duplicate"],
            reply["quarantined"],
            reply["suppressed"],
            tuple(
                (result["event_id"], result["status"], result["code"])
                for result in reply["results"]
                if _about_identity([result["code"]])
            ),
            _set_cookie(response, "GlobalVisit"),
            _set_cookie(response, "CurrentContact"),
        )

    async def assert_from_server(self, uid: str, cid: str | None, email: str | None, at: int) -> None:
        said = {"uid": uid, "cid": cid, "email": email, "occurred_at": at}
        body = {name: value for name, value in said.items() if value is not None}
        response = await self.client.post("/api/v1/identify", json=body, headers=self.authorization)
        assert response.status == 200, await response.text()

    async def look(self, kind: Literal["cid", "email", "uid"], value: str) -> View | None:
        response = await self.client.get("/api/v1/profiles", params={kind: value}, headers=self.authorization)
        if response.status in (400, 404):  # what R1 refuses is nobody's either
            return None
        assert response.status == 200, await response.text()
        profile = await response.json()
        events = await self._events_of(profile["profile_id"])
        claims = profile["claims"]
        return View(
            profile_id=profile["profile_id"],
            cid=profile["cid"],
            email=profile["email"],
            uids=frozenset(profile["uids"]),
            merged=frozenset(profile["merged_profile_ids"]),
            events={event["event_id"]: f"{event['category']}/{event['action']}" for event in events},
            traits=profile["traits"],
            claimed_traits={claim["name"]: claim["value"] for claim in claims if claim["kind"] == "trait"},
            claimed_emails=frozenset(claim["value"] for claim in claims if claim["kind"] == "email"),
            warnings={
                event["event_id"]: tuple(said) for event in events if (said := _about_identity(event["warnings"]))
            },
        )

    async def _events_of(self, profile_id: str) -> list[dict[str, Any]]:
        items: list[dict[str, Any]] = []
        start = None
        while True:
            params = {"limit": "500", **({"start": start} if start else {})}
            url = f"/api/v1/profiles/{profile_id}/events"
            page = await (await self.client.get(url, params=params, headers=self.authorization)).json()
            items += page["items"]
            start = page["next"]
            if start is None:
                return items

    async def journal(self) -> list[dict[str, Any]]:
        return await self._items("/api/v1/merges")

    async def unmerge(self, merge_id: int, *, dry_run: bool = False) -> Undone:
        params = {"dry_run": "true"} if dry_run else {}
        url = f"/api/v1/merges/{merge_id}/reverse"
        response = await self.client.post(url, params=params, headers=self.authorization)
        document = await response.json()
        if response.status == 200:
            return Undone(document)
        error = document["error"]
        assert response.status == (404 if error["code"] == "not_found" else 409)
        return Undone(None, error["code"], tuple(error.get("merges", ())), error.get("profile_id"))

    async def lift(self, merge_id: int) -> bool:
        response = await self.client.delete(f"/api/v1/apart/{merge_id}", headers=self.authorization)
        assert response.status in (200, 404), await response.text()
        return response.status == 200

    async def kept_apart(self) -> list[dict[str, Any]]:
        return await self._items("/api/v1/apart")

    async def _items(self, url: str) -> list[dict[str, Any]]:
        response = await self.client.get(url, params={"limit": "500"}, headers=self.authorization)
        assert response.status == 200, await response.text()
        items: list[dict[str, Any]] = (await response.json())["items"]
        return items

    async def read(self, profile_id: str) -> dict[str, Any]:
        answers = {}
        for name, path in (("profile", ""), ("explain", "/explain")):
            url = f"/api/v1/profiles/{profile_id}{path}"
            response = await self.client.get(url, headers=self.authorization)
            assert response.status == 200, await response.text()
            answers[name] = await response.json()
        return {**answers, "events": await self._events_of(profile_id)}

    async def resolve_contact(self, cookie: str) -> str:
        profile_id = cookie.partition(".")[0]
        response = await self.client.get(f"/api/v1/profiles/{profile_id}", headers=self.authorization)
        assert response.status == 200, "CurrentContact names a profile that does not exist"
        return str((await response.json())["profile_id"])

    async def look_at_visit(self, visit_id: str) -> tuple[str, list[tuple[str, bool]]]:
        wanted = {"include_sessions": "true", "include_sessions_detail": "true"}
        response = await self.client.get(f"/server/data/visits/{visit_id}", params=wanted, headers=self.authorization)
        assert response.status == 200, "no such visit"
        visit = await response.json()
        return visit["state"], [(session["identityId"], session["endDate"] == 0) for session in visit["sessions"]]

    async def erase(self, profile_id: str, at: int) -> None:
        response = await self.client.delete(f"/api/v1/profiles/{profile_id}", headers=self.authorization)
        assert response.status == 200, await response.text()

    def forge_contact(self, profile_id: str) -> str:
        """A value that looks right, with a signature of somebody else."""
        return f"{profile_id}.20000.{'A' * 43}"


def _set_cookie(response: ClientResponse, name: str) -> str | None:
    for header in response.headers.getall("Set-Cookie", []):
        morsel = SimpleCookie(header).get(name)
        if morsel is not None:
            return morsel.value
    return None


def _about_identity(warnings: list[str]) -> list[str]:
    """Without those about the clock, which stands in the past on purpose."""
    return [warning for warning in warnings if not warning.startswith(("clock_", "no_sent_at"))]
