"""The tables, one text for SQLite and PostgreSQL. Tables are the plurals of the nouns in the design.

Every key is (site, ...). Ids are 16 bytes, times are milliseconds UTC. Columns that are compared to place an event in
the life of a browser (`tracked_at`, `since_at`, `born_at`, `at`) are on that browser's own clock; the others are ours.
"""

from __future__ import annotations

from binascii import a2b_hex
from collections.abc import Sequence

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Dialect,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
    and_,
    literal_column,
)


def id_bytes(text: str) -> bytearray:
    """The 16 bytes of a UUID given as text; a bytearray, which sqlite3 takes as it is (see `store/driver.py`)."""
    return bytearray(a2b_hex(text.replace("-", "")))


def ids_bytes(texts: Sequence[str]) -> list[bytearray]:
    """`id_bytes` of each, in three fifths of the time where they are many."""
    raw = bytearray(a2b_hex("".join(texts).replace("-", "")))
    return [raw[at : at + 16] for at in range(0, len(raw), 16)]


def id_text(raw: bytes) -> str:
    """Canonical text of a UUID given as 16 bytes."""
    digits = raw.hex()
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


class Id(TypeDecorator[str]):
    """A UUID: text in Python, 16 bytes in the database."""

    impl = LargeBinary(16)
    cache_ok = True

    def process_bind_param(self, value: str | None, _dialect: Dialect) -> bytearray | None:
        """Text to bytes."""
        return None if value is None else id_bytes(value)

    def process_result_value(self, value: bytes | None, _dialect: Dialect) -> str | None:
        """Bytes to text."""
        return None if value is None else id_text(value)


metadata = MetaData()
RowId = BigInteger().with_variant(Integer, "sqlite")

installation = Table(
    "installation",
    metadata,
    Column("name", Text, primary_key=True),
    Column("value", Text, nullable=False),
)

sites = Table(
    "sites",
    metadata,
    Column("site_id", Integer, primary_key=True),
    Column("name", Text, nullable=False, unique=True),
    Column("write_key", Text, nullable=False, unique=True),
    Column("origins", Text, nullable=False),
    Column("settings", Text, nullable=False),
    Column("is_test", Boolean, nullable=False, default=False),
    Column("disabled", Boolean, nullable=False, default=False),
    Column("token_keys", Integer, nullable=False, default=0),
    Column("created_at", BigInteger, nullable=False),
)

keys = Table(  # secret keys: of each only the hash, and what it opens
    "keys",
    metadata,
    Column("site_id", Integer, primary_key=True),
    Column("key_id", Id, primary_key=True),
    Column("name", Text, nullable=False),
    Column("secret_hash", LargeBinary, nullable=False, unique=True),
    Column("scopes", Text, nullable=False),  # separated by spaces
    Column("created_at", BigInteger, nullable=False),
    Column("revoked_at", BigInteger),
)

devices = Table(
    "devices",
    metadata,
    Column("site_id", Integer, primary_key=True),
    Column("device_id", Id, primary_key=True),
    Column("youngest_uid", Id),
    Column("youngest_born_at", BigInteger, nullable=False),
    Column("last_asserted_at", BigInteger),
)

boundaries = Table(  # where one epoch of a device ends and the next begins
    "boundaries",
    metadata,
    Column("site_id", Integer, primary_key=True),
    Column("device_id", Id, primary_key=True),
    Column("at", BigInteger, primary_key=True),
    Column("seq", BigInteger, primary_key=True),
)

uids = Table(
    "uids",
    metadata,
    Column("site_id", Integer, primary_key=True),
    Column("uid", Id, primary_key=True),
    Column("device_id", Id),
    Column("origin", Text, nullable=False),
    Column("born_at", BigInteger, nullable=False),
    Index("uids_by_device", "site_id", "device_id", "born_at"),
)

bindings = Table(
    "bindings",
    metadata,
    Column("site_id", Integer, primary_key=True),
    Column("uid", Id, primary_key=True),
    Column("since_at", BigInteger, primary_key=True),
    Column("since_seq", BigInteger, primary_key=True),
    Column("profile_id", Id, nullable=False),
    Column("rule", Text, nullable=False),
    Column("event_id", Id, nullable=False),
    Column("trust", SmallInteger, nullable=False),
    Column("bound_at", BigInteger, nullable=False),
    Index("bindings_by_profile", "site_id", "profile_id"),
)

profiles = Table(
    "profiles",
    metadata,
    Column("site_id", Integer, primary_key=True),
    Column("profile_id", Id, primary_key=True),
    Column("merged_into", Id),
    Column("first_seen_at", BigInteger, nullable=False),
    Index("profiles_by_root", "site_id", "merged_into"),
)

identifiers = Table(
    "identifiers",
    metadata,
    Column("site_id", Integer, primary_key=True),
    Column("kind", Text, primary_key=True),
    Column("value", Text, primary_key=True),
    Column("profile_id", Id, nullable=False),
    Column("trust", SmallInteger, nullable=False),
    Column("rule", Text, nullable=False),
    Column("event_id", Id, nullable=False),
    Column("assigned_at", BigInteger, nullable=False),
    Index("identifiers_by_profile", "site_id", "profile_id"),
)

retirements = Table(  # e-mails that are history, as they were held: undoing a merge that replaced one gives it back
    "retirements",
    metadata,
    Column("site_id", Integer, primary_key=True),
    Column("profile_id", Id, primary_key=True),
    Column("kind", Text, primary_key=True),
    Column("value", Text, primary_key=True),
    Column("retired_by", Id, primary_key=True),  # the event
    Column("trust", SmallInteger, nullable=False),
    Column("rule", Text, nullable=False),
    Column("event_id", Id, nullable=False),
    Column("assigned_at", BigInteger, nullable=False),
    Column("retired_trust", SmallInteger, nullable=False),
    Column("retired_at", BigInteger, nullable=False),
    Index("retirements_by_value", "site_id", "kind", "value"),
)

claims = Table(  # identifiers that were claimed and not believed
    "claims",
    metadata,
    Column("site_id", Integer, primary_key=True),
    Column("profile_id", Id, primary_key=True),
    Column("kind", Text, primary_key=True),
    Column("value", Text, primary_key=True),
    Column("reason", Text, primary_key=True),
    Column("trust", SmallInteger, nullable=False),
    Column("event_id", Id, nullable=False),
    Column("claimed_at", BigInteger, nullable=False),
)

merges = Table(  # append-only but for reversed_at and apart_lifted_at
    "merges",
    metadata,
    Column("merge_id", RowId, primary_key=True),
    Column("site_id", Integer, nullable=False),
    Column("winner_id", Id, nullable=False),
    Column("loser_id", Id, nullable=False),
    Column("rule", Text, nullable=False),
    Column("event_id", Id, nullable=False),
    Column("trust", SmallInteger, nullable=False),
    Column("merged_at", BigInteger, nullable=False),
    Column("pointers_before", Text, nullable=False),  # JSON list of the profiles that pointed at the loser
    Column("reversed_at", BigInteger),
    Column("apart_lifted_at", BigInteger),  # until then a reversed merge keeps its two apart
    Index("merges_by_site", "site_id", "merge_id"),
    Index("merges_by_winner", "site_id", "winner_id"),
    Index("merges_by_loser", "site_id", "loser_id"),
)

traits = Table(
    "traits",
    metadata,
    Column("site_id", Integer, primary_key=True),
    Column("profile_id", Id, primary_key=True),
    Column("name", Text, primary_key=True),
    Column("trust", SmallInteger, primary_key=True),
    Column("is_claim", Boolean, primary_key=True),
    Column("value", Text, nullable=False),  # JSON
    Column("occurred_at", BigInteger, nullable=False),
    Column("event_id", Id, nullable=False),
)

visits = Table(
    "visits",
    metadata,
    Column("site_id", Integer, primary_key=True),
    Column("visit_id", Id, primary_key=True),
    Column("device_id", Id),
    Column("started_at", BigInteger, nullable=False),
    Column("last_event_at", BigInteger, nullable=False),
    Column("since_at", BigInteger, nullable=False),  # started_at on the browser's clock
    Column("arrived_at", BigInteger, nullable=False),  # when its first event came; never changes, so lists go by it
    Column("user_agent_id", Id),
    Column("state", Text, nullable=False),
    Column("identity_id", Text),  # whom the state is about
    Index("visits_by_device", "site_id", "device_id", "started_at"),
    Index("visits_by_arrival", "site_id", "arrived_at", "visit_id"),
    Index("visits_by_state", "site_id", "state", "arrived_at", "visit_id"),
)

visit_profiles = Table(  # the leaves that spoke in a visit
    "visit_profiles",
    metadata,
    Column("site_id", Integer, primary_key=True),
    Column("profile_id", Id, primary_key=True),
    Column("visit_id", Id, primary_key=True),
    Index("visit_profiles_by_visit", "site_id", "visit_id", "profile_id"),
)

user_agents = Table(
    "user_agents",
    metadata,
    Column("site_id", Integer, primary_key=True),
    Column("user_agent_id", Id, primary_key=True),  # made from the text
    Column("text", Text, nullable=False),
)

user_identifications = Table(  # the events that move the state of a visit, and the assertions on a device
    "user_identifications",
    metadata,
    Column("site_id", Integer, primary_key=True),
    Column("event_id", Id, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("visit_id", Id),
    Column("device_id", Id),  # null where nobody said it on a device: that of an assumption is its visit's
    Column("uid", Id),
    Column("profile_id", Id, nullable=False),
    Column("identity_id", Text),
    Column("cid", Text),  # the CID where R4 accepted it: what R7 and R13 look at
    Column("at", BigInteger, nullable=False),
    Column("seq", BigInteger, nullable=False),
    Column("occurred_at", BigInteger, nullable=False),
    Index("user_identifications_by_visit", "site_id", "visit_id"),
    Index("user_identifications_by_device", "site_id", "device_id", "at"),
    Index("user_identifications_by_profile", "site_id", "profile_id"),
    Index("user_identifications_by_identity", "site_id", "identity_id", "occurred_at", "event_id"),
    Index("user_identifications_by_time", "site_id", "occurred_at", "event_id"),
)

sessions = Table(
    "sessions",
    metadata,
    Column("site_id", Integer, primary_key=True),
    Column("session_id", Id, primary_key=True),
    Column("visit_id", Id, nullable=False),
    Column("profile_id", Id, nullable=False),
    Column("identity_id", Text, nullable=False),
    Column("started_at", BigInteger, nullable=False),
    Column("ended_at", BigInteger),
    Column("since_at", BigInteger, nullable=False),  # from here on, on the browser's clock: which events are inside
    Column("since_seq", BigInteger, nullable=False),
    Column("until_at", BigInteger),
    Column("until_seq", BigInteger),
    Index("sessions_by_visit", "site_id", "visit_id"),
    Index("sessions_by_profile", "site_id", "profile_id"),
)

identities = Table(  # who was named by a sign-in or a hint
    "identities",
    metadata,
    Column("site_id", Integer, primary_key=True),
    Column("identity_id", Text, primary_key=True),  # the CID, else the e-mail, as asserted
    Column("first_at", BigInteger, nullable=False),
    Column("last_at", BigInteger, nullable=False),
    Column("arrived_at", BigInteger, nullable=False),  # as in visits
    Index("identities_by_arrival", "site_id", "arrived_at", "identity_id"),
)

contacts = Table(  # which identity was in which visit, and in which session
    "contacts",
    metadata,
    Column("site_id", Integer, primary_key=True),
    Column("contact_id", Id, primary_key=True),  # the first event that says so
    Column("visit_id", Id, nullable=False),
    Column("device_id", Id),
    Column("session_id", Id),  # null: the visitor was recognized only
    Column("profile_id", Id, nullable=False),
    Column("identity_id", Text, nullable=False),
    Column("occurred_at", BigInteger, nullable=False),
    Index("contacts_by_time", "site_id", "occurred_at", "contact_id"),
    Index("contacts_by_identity", "site_id", "identity_id", "occurred_at", "contact_id"),
    Index("contacts_by_device", "site_id", "device_id", "occurred_at", "contact_id"),
    Index("contacts_by_visit", "site_id", "visit_id"),
    Index("contacts_by_profile", "site_id", "profile_id"),
)

interactions = Table(  # conversations and the like, and whom they are held to be with
    "interactions",
    metadata,
    Column("site_id", Integer, primary_key=True),
    Column("interaction_id", Id, primary_key=True),
    Column("visit_id", Id, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("state", Text, nullable=False),  # of the visit, then
    Column("identification", Text, nullable=False),
    Column("identity_id", Text),  # whom it was held to be with
    Column("confidence", SmallInteger, nullable=False),  # in hundredths
    Column("decided_at", BigInteger),
    Column("decided_identity_id", Text),  # null once decided: nobody
    Column("body", Text, nullable=False),  # JSON
    Index("interactions_by_visit", "site_id", "visit_id"),
    Index("interactions_by_time", "site_id", "created_at", "interaction_id"),
)
# Of partial indexes, PostgreSQL's condition is in the migration: here, it would load 3 MB that SQLite can do without.
PENDING = and_(interactions.c.identification == literal_column("'agent_decides'"), interactions.c.decided_at.is_(None))
Index(
    "interactions_pending",
    interactions.c.site_id,
    interactions.c.created_at,
    interactions.c.interaction_id,
    sqlite_where=PENDING,
)

events = Table(
    "events",
    metadata,
    Column("row_id", RowId, primary_key=True),
    Column("site_id", Integer, nullable=False),
    Column("event_id", Id, nullable=False),
    Column("profile_id", Id),  # the leaf; null for bots and for clients without a UID
    Column("uid", Id),
    Column("visit_id", Id),
    Column("page_id", Id),
    Column("category", Text, nullable=False),
    Column("action", Text, nullable=False),
    Column("occurred_at", BigInteger, nullable=False),
    Column("tracked_at", BigInteger, nullable=False),
    Column("received_at", BigInteger, nullable=False),
    Column("seq", BigInteger, nullable=False),
    Column("url", Text),
    Column("body", Text, nullable=False),  # JSON of everything without a column
    Column("bot", Boolean, nullable=False),
    Column("warnings", Text),  # separated by spaces
    UniqueConstraint("site_id", "event_id"),
    Index("events_by_profile", "site_id", "profile_id", "occurred_at", "row_id"),
)
SYSTEM_CATEGORIES = events.c.category.in_([literal_column("'page'"), literal_column("'user'")])
Index(
    "events_of_system",
    events.c.site_id,
    events.c.occurred_at,
    events.c.row_id,
    sqlite_where=SYSTEM_CATEGORIES,
)

quarantine = Table(
    "quarantine",
    metadata,
    Column("quarantine_id", RowId, primary_key=True),
    Column("site_id", Integer, nullable=False),
    Column("received_at", BigInteger, nullable=False),
    Column("code", Text, nullable=False),
    Column("field", Text, nullable=False),
    Column("event_id", Id),
    Column("raw", LargeBinary, nullable=False),
    Column("sent_at", BigInteger),  # from here on: what recording it later needs to know of the request
    Column("device_id", Id),
    Column("contact_id", Id),
    Column("trust", SmallInteger, nullable=False),
    Column("bot", Boolean, nullable=False),
    Column("tries", Integer, nullable=False),  # to record it later, in vain
    Index("quarantine_by_site", "site_id", "quarantine_id"),
    sqlite_autoincrement=True,  # operators write down ids: one that is gone must not come back as another row's
)

consents = Table(  # what visitors decided; a denial is kept without a UID
    "consents",
    metadata,
    Column("consent_id", RowId, primary_key=True),
    Column("site_id", Integer, nullable=False),
    Column("uid", Id),
    Column("state", Text, nullable=False),
    Column("decided_at", BigInteger, nullable=False),
    Column("received_at", BigInteger, nullable=False),
    Index("consents_by_uid", "site_id", "uid"),
)

tombstones = Table(  # keyed hashes, of kind and value, of what was erased (R16)
    "tombstones",
    metadata,
    Column("site_id", Integer, primary_key=True),
    Column("hash", LargeBinary, primary_key=True),
    Column("erased_at", BigInteger, nullable=False),
)
