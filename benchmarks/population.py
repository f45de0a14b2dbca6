"""A shop's visitors and what they did, made up reproducibly as rows of the product's own tables.

One seed gives one history. Time counts on by `STEP_MS` with each event, and all ids are UUIDv7 of that time, so they
come in the order in which a collector would have stored them. Everybody comes for visits of `VISIT_EVENTS` events:

- visitors 0 to 99 are one person with 100 leaves, who is back in every 1,000th visit, each time with the next leaf;
- visitor 100 is anonymous and does a 49th of everything, of five million events a hundred thousand;
- every fifth visit is somebody's first. Two of five of these visitors say who they are, one of ten is merged into
  such a customer. The other visits belong to newcomers of late (three of five) or to anybody who ever came.

Who says who they are does so near the end of their first visit; in all later ones they are assumed to be that customer.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from random import Random

import orjson

from benchmarks.events import AGENT
from benchmarks.server import ORIGIN
from collector.store.visits import user_agent_id

START_MS = 1_767_225_600_000  # 1 January 2026
STEP_MS = 40
LAG_MS = 15  # until an event is received
VISIT_EVENTS = 10
EVENTS_PER_PAGE = 3  # a view, something done, and the exit but for the last page
SAYS_AT = 7
LEAVES = 100
VISITS_PER_REGULAR, VISITS_PER_FREQUENT, VISITS_PER_NEWCOMER = 1_000, 49, 5
RECENT = 200
AGENTS = tuple(AGENT.replace("140", str(version)) for version in range(140, 145))
PRODUCTS = ("hand-trowel", "watering-can", "enamel-mug", "bread-board", "rolling-pin", "seed-tin")
RANDOM_BITS = 74
LOW_BITS = (1 << 62) - 1

Row = tuple[object, ...]
Rows = dict[str, list[Row]]  # by table; a value for each column but a row id


@dataclass(slots=True)
class Visitor:
    """A browser with one UID and one profile, which is a leaf of `customer` if that is not its own number."""

    number: int
    device_id: bytes
    uid: bytes
    profile_id: bytes
    born_at: int
    customer: int | None
    said_at: int | None = None
    seq: int = 0
    events: int = 0


@dataclass(slots=True)
class Population:
    """Everybody who has come so far. `written` counts the rows that were handed out, by table."""

    site_id: int
    seed: int = 1
    now: int = START_MS
    visits: int = 0
    visitors: list[Visitor] = field(default_factory=list)
    written: Counter[str] = field(default_factory=Counter)
    random: Random = field(init=False)

    def __post_init__(self) -> None:
        self.random = Random(self.seed)

    @property
    def regular(self) -> Visitor:
        """The root of the person with 100 leaves."""
        return self.visitors[0]

    def leaves(self) -> list[Visitor]:
        """The hundred of the regular."""
        return self.visitors[:LEAVES]

    @property
    def frequent(self) -> Visitor:
        """Who did a 49th of everything."""
        return self.visitors[LEAVES]

    def customers(self) -> list[Visitor]:
        """Those who said who they are, but for the one with 100 leaves."""
        return [visitor for visitor in self.visitors[LEAVES:] if visitor.customer == visitor.number]

    def strangers(self) -> list[Visitor]:
        """Those who never said who they are, in order of birth, but for the frequent one."""
        return [visitor for visitor in self.visitors[LEAVES + 1 :] if visitor.customer is None]

    def grow(self, events: int, portion: int) -> Iterator[Rows]:
        """The rows that are added until there are `events` (of whole visits), in portions of about so many events."""
        while self.written["events"] < events:
            rows: Rows = {}
            for _ in range(min(portion, events - self.written["events"]) // VISIT_EVENTS or 1):
                self._visit(rows)
            self.written.update({table: len(added) for table, added in rows.items()})
            yield rows

    def _visit(self, rows: Rows) -> None:
        number = self.visits
        self.visits += 1
        if number > LEAVES + 1 and number % VISITS_PER_FREQUENT == 0:
            self._browse(rows, self.frequent)
        elif number <= LEAVES + 1 or number % VISITS_PER_NEWCOMER == 1:
            visitor = self._come()
            self._browse(rows, visitor)
            self._remember(rows, visitor)
        elif number % VISITS_PER_REGULAR == 0:
            self._browse(rows, self.visitors[number // VISITS_PER_REGULAR % LEAVES])
        else:
            ordinary = len(self.visitors) - LEAVES - 1
            among = min(RECENT, ordinary) if self.random.random() < 0.6 else ordinary
            self._browse(rows, self.visitors[-1 - self.random.randrange(among)])

    def _come(self) -> Visitor:
        number = len(self.visitors)
        if number < LEAVES:
            customer: int | None = 0
        elif number > LEAVES and number % 5 in (0, 2):
            customer = number
        else:
            customer = number - 3 if number > LEAVES + 10 and number % 10 == 3 else None
        made = Visitor(number, self._id(), self._id(), self._id(), self.now + STEP_MS, customer)
        self.visitors.append(made)
        return made

    def _id(self) -> bytes:
        """The next UUIDv7."""
        random = self.random.getrandbits(RANDOM_BITS)
        number = self.now << 80 | 0x7000 << 64 | (random >> 62) << 64 | 1 << 63 | random & LOW_BITS
        return number.to_bytes(16, "big")

    def _browse(self, rows: Rows, visitor: Visitor) -> None:
        """One visit; in a customer's first one they say who they are."""
        visit_id, page_id, page_url = self._id(), b"", ""
        began = self.now + STEP_MS
        add, choose = rows.setdefault("events", []).append, self.random.random
        ids = (visitor.profile_id, visitor.uid, visit_id)
        says = visitor.said_at is None and visitor.customer is not None
        for place in range(VISIT_EVENTS):
            self.now += STEP_MS
            visitor.seq += 1
            event_id = self._id()
            if place % EVENTS_PER_PAGE == 0:
                page_id, name = self._id(), ("page", "view")
                url, body = PAGE_VIEWS[int(choose() * len(PAGE_VIEWS))]
                page_url = url
            elif place % EVENTS_PER_PAGE == EVENTS_PER_PAGE - 1:
                name, url, body = ("page", "exit"), page_url, PAGE_EXITS[int(choose() * len(PAGE_EXITS))]
            elif says and place == SAYS_AT:
                name, url, body = ("user", "identify"), page_url, self._say(rows, visitor, event_id, visit_id)
            else:
                name = ("product", "view")
                url, body = PRODUCT_VIEWS[int(choose() * len(PRODUCT_VIEWS))]
            times = (self.now, self.now, self.now + LAG_MS, visitor.seq)
            add((self.site_id, event_id, *ids, page_id, *name, *times, url, body, False, None))
        visitor.events += VISIT_EVENTS
        self._keep_visit(rows, visitor, visit_id, began, says=says)

    def _keep_visit(self, rows: Rows, visitor: Visitor, visit_id: bytes, began: int, *, says: bool) -> None:
        """What recording would write of a visit, but for what it does when they say who they are."""
        site, me, device = self.site_id, visitor.profile_id, visitor.device_id
        cid = None if visitor.customer is None else cid_of(visitor.customer)
        state = "Anonymous" if cid is None else "Authenticated" if says else "WM-Recognized"
        agent = user_agent_id(AGENTS[visitor.number % len(AGENTS)])
        visit = (site, visit_id, device, began, self.now, began, began + LAG_MS, agent, state, cid)
        rows.setdefault("visits", []).append(visit)
        rows.setdefault("visit_profiles", []).append((site, me, visit_id))
        if cid is not None and not says:
            marker = (site, visit_id, "Assumption", visit_id, None, None, me, cid, None, 0, 0, began)
            rows.setdefault("user_identifications", []).append(marker)

    def _say(self, rows: Rows, visitor: Visitor, event_id: bytes, visit_id: bytes) -> str:
        """All but the event that recording would write when a visitor says who they are; the event's body."""
        assert visitor.customer is not None
        site, at, me = self.site_id, self.now, visitor.profile_id
        cid, email = cid_of(visitor.customer), f"visitor-{visitor.customer}@example.com"
        add = {table: rows.setdefault(table, []).append for table in WRITTEN_BY_SAYING}
        if visitor.customer == visitor.number:
            add["identifiers"]((site, "cid", cid, me, 0, "R4a", event_id, at + 20))
            add["identifiers"]((site, "email", email, me, 0, "R5a", event_id, at + 20))
        else:
            winner = self.visitors[visitor.customer].profile_id
            add["merges"]((site, winner, me, "R4b", event_id, 0, at + 20, "[]", None, None))
        add["traits"]((site, me, "name", 0, False, '"Ann Example"', at, event_id))
        told = (visit_id, visitor.device_id, visitor.uid, me, cid, cid, at, visitor.seq, at)
        add["user_identifications"]((site, event_id, "SignIn", *told))
        add["sessions"]((site, event_id, visit_id, me, cid, at, None, at, visitor.seq, None, None))
        add["contacts"]((site, event_id, visit_id, visitor.device_id, event_id, me, cid, at))
        if visitor.customer == visitor.number:
            add["identities"]((site, cid, at, at, at + LAG_MS))
        visitor.said_at = at
        customer = {"customer_id": cid, "email": email, "name": "Ann Example"}
        extra = {"identify_event": "user_identify", "identify_id": cid, "identify_type": "exact"}
        return orjson.dumps({"dims": {"customers": customer}, "extra": extra}).decode()

    def _remember(self, rows: Rows, visitor: Visitor) -> None:
        """What there is once of each visitor."""
        site, born_at = self.site_id, visitor.born_at
        first_event = rows["events"][-VISIT_EVENTS][1]
        is_merged = visitor.customer is not None and visitor.customer != visitor.number
        root = self.visitors[visitor.customer].profile_id if is_merged and visitor.customer is not None else None
        binding = (site, visitor.uid, 0, 0, visitor.profile_id, "R3", first_event, 0, born_at + LAG_MS)
        if visitor.number < len(AGENTS):
            agent = AGENTS[visitor.number]
            rows.setdefault("user_agents", []).append((site, user_agent_id(agent), agent))
        for table, row in (
            ("devices", (site, visitor.device_id, visitor.uid, born_at, visitor.said_at)),
            ("uids", (site, visitor.uid, visitor.device_id, "first", born_at)),
            ("bindings", binding),
            ("profiles", (site, visitor.profile_id, root, born_at)),
        ):
            rows.setdefault(table, []).append(row)


def cid_of(number: int) -> str:
    """The CID of a customer."""
    return f"customer-{number}"


def _views(*, is_page: bool) -> list[tuple[str, str]]:
    """Pairs of address and body, of about the sizes that `load.lua` sends."""
    made = []
    for product in PRODUCTS:
        item = {"currency": "EUR", "id": product, "name": "Made by hand in ash and steel, with a cord", "price": 1490}
        dims = {"brand": "Field & Hearth", "list": "bestsellers", "sku": product}
        tests = {"layout": "wide", "returning": True, "scrolled": 0, "test_group": "b", "theme": "light"}
        referrer = f"{ORIGIN}/catalogue/kitchen?sort=newest&page=2"
        page = {"extra": tests, "referrer": referrer, "title": f"{product} | Garden and Kitchen"}
        body = orjson.dumps(page if is_page else {"dims": dims, "items": [item | {"quantity": 1}]}).decode()
        made += [(f"{ORIGIN}/products/{product}?from=catalogue&position={place}", body) for place in range(1, 61)]
    return made


PAGE_EXITS = [orjson.dumps({"extra": {"active_ms": 1000 + 370 * place}}).decode() for place in range(60)]
PAGE_VIEWS, PRODUCT_VIEWS = _views(is_page=True), _views(is_page=False)
WRITTEN_BY_SAYING = ("identifiers", "merges", "traits", "user_identifications", "sessions", "contacts", "identities")
