"""The first tables."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    _create_history()
    op.create_table(
        "bindings",
        sa.Column("site_id", sa.Integer(), nullable=False),
        sa.Column("uid", sa.LargeBinary(length=16), nullable=False),
        sa.Column("since_at", sa.BigInteger(), nullable=False),
        sa.Column("since_seq", sa.BigInteger(), nullable=False),
        sa.Column("profile_id", sa.LargeBinary(length=16), nullable=False),
        sa.Column("rule", sa.Text(), nullable=False),
        sa.Column("event_id", sa.LargeBinary(length=16), nullable=False),
        sa.Column("trust", sa.SmallInteger(), nullable=False),
        sa.Column("bound_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("site_id", "uid", "since_at", "since_seq"),
    )
    op.create_index("bindings_by_profile", "bindings", ["site_id", "profile_id"], unique=False)
    op.create_table(
        "boundaries",
        sa.Column("site_id", sa.Integer(), nullable=False),
        sa.Column("device_id", sa.LargeBinary(length=16), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("site_id", "device_id", "at", "seq"),
    )
    op.create_table(
        "claims",
        sa.Column("site_id", sa.Integer(), nullable=False),
        sa.Column("profile_id", sa.LargeBinary(length=16), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("trust", sa.SmallInteger(), nullable=False),
        sa.Column("event_id", sa.LargeBinary(length=16), nullable=False),
        sa.Column("claimed_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("site_id", "profile_id", "kind", "value", "reason"),
    )
    op.create_table(
        "consents",
        sa.Column("consent_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("site_id", sa.Integer(), nullable=False),
        sa.Column("uid", sa.LargeBinary(length=16), nullable=True),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("decided_at", sa.BigInteger(), nullable=False),
        sa.Column("received_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("consent_id"),
    )
    op.create_index("consents_by_uid", "consents", ["site_id", "uid"], unique=False)
    op.create_table(
        "devices",
        sa.Column("site_id", sa.Integer(), nullable=False),
        sa.Column("device_id", sa.LargeBinary(length=16), nullable=False),
        sa.Column("youngest_uid", sa.LargeBinary(length=16), nullable=True),
        sa.Column("youngest_born_at", sa.BigInteger(), nullable=False),
        sa.Column("last_asserted_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("site_id", "device_id"),
    )
    op.create_table(
        "events",
        sa.Column("row_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("site_id", sa.Integer(), nullable=False),
        sa.Column("event_id", sa.LargeBinary(length=16), nullable=False),
        sa.Column("profile_id", sa.LargeBinary(length=16), nullable=True),
        sa.Column("uid", sa.LargeBinary(length=16), nullable=True),
        sa.Column("visit_id", sa.LargeBinary(length=16), nullable=True),
        sa.Column("page_id", sa.LargeBinary(length=16), nullable=True),
        sa.Column("category", sa.Text(), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("occurred_at", sa.BigInteger(), nullable=False),
        sa.Column("tracked_at", sa.BigInteger(), nullable=False),
        sa.Column("received_at", sa.BigInteger(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("url", sa.Text(), nullable=True),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("bot", sa.Boolean(), nullable=False),
        sa.Column("warnings", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("row_id"),
        sa.UniqueConstraint("site_id", "event_id"),
    )
    op.create_index("events_by_profile", "events", ["site_id", "profile_id", "occurred_at", "row_id"], unique=False)
    is_system = sa.text("category IN ('page', 'user')")
    op.create_index(
        "events_of_system",
        "events",
        ["site_id", "occurred_at", "row_id"],
        unique=False,
        sqlite_where=is_system,
        postgresql_where=is_system,
    )
    op.create_table(
        "identifiers",
        sa.Column("site_id", sa.Integer(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.Column("profile_id", sa.LargeBinary(length=16), nullable=False),
        sa.Column("trust", sa.SmallInteger(), nullable=False),
        sa.Column("rule", sa.Text(), nullable=False),
        sa.Column("event_id", sa.LargeBinary(length=16), nullable=False),
        sa.Column("assigned_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("site_id", "kind", "value"),
    )
    op.create_index("identifiers_by_profile", "identifiers", ["site_id", "profile_id"], unique=False)
    op.create_table(
        "installation",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )
    op.create_table(
        "keys",
        sa.Column("site_id", sa.Integer(), nullable=False),
        sa.Column("key_id", sa.LargeBinary(length=16), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("secret_hash", sa.LargeBinary(), nullable=False),
        sa.Column("scopes", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("revoked_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("site_id", "key_id"),
        sa.UniqueConstraint("secret_hash"),
    )
    op.create_table(
        "merges",
        sa.Column("merge_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("site_id", sa.Integer(), nullable=False),
        sa.Column("winner_id", sa.LargeBinary(length=16), nullable=False),
        sa.Column("loser_id", sa.LargeBinary(length=16), nullable=False),
        sa.Column("rule", sa.Text(), nullable=False),
        sa.Column("event_id", sa.LargeBinary(length=16), nullable=False),
        sa.Column("trust", sa.SmallInteger(), nullable=False),
        sa.Column("merged_at", sa.BigInteger(), nullable=False),
        sa.Column("pointers_before", sa.Text(), nullable=False),
        sa.Column("reversed_at", sa.BigInteger(), nullable=True),
        sa.Column("apart_lifted_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("merge_id"),
    )
    op.create_index("merges_by_loser", "merges", ["site_id", "loser_id"], unique=False)
    op.create_index("merges_by_site", "merges", ["site_id", "merge_id"], unique=False)
    op.create_index("merges_by_winner", "merges", ["site_id", "winner_id"], unique=False)
    op.create_table(
        "profiles",
        sa.Column("site_id", sa.Integer(), nullable=False),
        sa.Column("profile_id", sa.LargeBinary(length=16), nullable=False),
        sa.Column("merged_into", sa.LargeBinary(length=16), nullable=True),
        sa.Column("first_seen_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("site_id", "profile_id"),
    )
    op.create_index("profiles_by_root", "profiles", ["site_id", "merged_into"], unique=False)
    op.create_table(
        "quarantine",
        sa.Column("quarantine_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("site_id", sa.Integer(), nullable=False),
        sa.Column("received_at", sa.BigInteger(), nullable=False),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("field", sa.Text(), nullable=False),
        sa.Column("event_id", sa.LargeBinary(length=16), nullable=True),
        sa.Column("raw", sa.LargeBinary(), nullable=False),
        sa.Column("sent_at", sa.BigInteger(), nullable=True),
        sa.Column("device_id", sa.LargeBinary(length=16), nullable=True),
        sa.Column("contact_id", sa.LargeBinary(length=16), nullable=True),
        sa.Column("trust", sa.SmallInteger(), nullable=False),
        sa.Column("bot", sa.Boolean(), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("quarantine_id"),
        sqlite_autoincrement=True,
    )
    op.create_index("quarantine_by_site", "quarantine", ["site_id", "quarantine_id"], unique=False)
    op.create_table(
        "retirements",
        sa.Column("site_id", sa.Integer(), nullable=False),
        sa.Column("profile_id", sa.LargeBinary(length=16), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.Column("retired_by", sa.LargeBinary(length=16), nullable=False),
        sa.Column("trust", sa.SmallInteger(), nullable=False),
        sa.Column("rule", sa.Text(), nullable=False),
        sa.Column("event_id", sa.LargeBinary(length=16), nullable=False),
        sa.Column("assigned_at", sa.BigInteger(), nullable=False),
        sa.Column("retired_trust", sa.SmallInteger(), nullable=False),
        sa.Column("retired_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("site_id", "profile_id", "kind", "value", "retired_by"),
    )
    op.create_index("retirements_by_value", "retirements", ["site_id", "kind", "value"], unique=False)
    op.create_table(
        "sessions",
        sa.Column("site_id", sa.Integer(), nullable=False),
        sa.Column("session_id", sa.LargeBinary(length=16), nullable=False),
        sa.Column("visit_id", sa.LargeBinary(length=16), nullable=False),
        sa.Column("profile_id", sa.LargeBinary(length=16), nullable=False),
        sa.Column("identity_id", sa.Text(), nullable=False),
        sa.Column("started_at", sa.BigInteger(), nullable=False),
        sa.Column("ended_at", sa.BigInteger(), nullable=True),
        sa.Column("since_at", sa.BigInteger(), nullable=False),
        sa.Column("since_seq", sa.BigInteger(), nullable=False),
        sa.Column("until_at", sa.BigInteger(), nullable=True),
        sa.Column("until_seq", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("site_id", "session_id"),
    )
    op.create_index("sessions_by_profile", "sessions", ["site_id", "profile_id"], unique=False)
    op.create_index("sessions_by_visit", "sessions", ["site_id", "visit_id"], unique=False)
    op.create_table(
        "sites",
        sa.Column("site_id", sa.Integer(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("write_key", sa.Text(), nullable=False),
        sa.Column("origins", sa.Text(), nullable=False),
        sa.Column("settings", sa.Text(), nullable=False),
        sa.Column("is_test", sa.Boolean(), nullable=False),
        sa.Column("disabled", sa.Boolean(), nullable=False),
        sa.Column("token_keys", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("site_id"),
        sa.UniqueConstraint("name"),
        sa.UniqueConstraint("write_key"),
    )
    op.create_table(
        "tombstones",
        sa.Column("site_id", sa.Integer(), nullable=False),
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.Column("erased_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("site_id", "hash"),
    )
    op.create_table(
        "traits",
        sa.Column("site_id", sa.Integer(), nullable=False),
        sa.Column("profile_id", sa.LargeBinary(length=16), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("trust", sa.SmallInteger(), nullable=False),
        sa.Column("is_claim", sa.Boolean(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.Column("occurred_at", sa.BigInteger(), nullable=False),
        sa.Column("event_id", sa.LargeBinary(length=16), nullable=False),
        sa.PrimaryKeyConstraint("site_id", "profile_id", "name", "trust", "is_claim"),
    )
    op.create_table(
        "uids",
        sa.Column("site_id", sa.Integer(), nullable=False),
        sa.Column("uid", sa.LargeBinary(length=16), nullable=False),
        sa.Column("device_id", sa.LargeBinary(length=16), nullable=True),
        sa.Column("origin", sa.Text(), nullable=False),
        sa.Column("born_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("site_id", "uid"),
    )
    op.create_index("uids_by_device", "uids", ["site_id", "device_id", "born_at"], unique=False)
    op.create_table(
        "user_identifications",
        sa.Column("site_id", sa.Integer(), nullable=False),
        sa.Column("event_id", sa.LargeBinary(length=16), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("visit_id", sa.LargeBinary(length=16), nullable=True),
        sa.Column("device_id", sa.LargeBinary(length=16), nullable=True),
        sa.Column("uid", sa.LargeBinary(length=16), nullable=True),
        sa.Column("profile_id", sa.LargeBinary(length=16), nullable=False),
        sa.Column("identity_id", sa.Text(), nullable=True),
        sa.Column("cid", sa.Text(), nullable=True),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("occurred_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("site_id", "event_id"),
    )
    op.create_index(
        "user_identifications_by_device", "user_identifications", ["site_id", "device_id", "at"], unique=False
    )
    op.create_index(
        "user_identifications_by_identity",
        "user_identifications",
        ["site_id", "identity_id", "occurred_at", "event_id"],
        unique=False,
    )
    op.create_index("user_identifications_by_profile", "user_identifications", ["site_id", "profile_id"], unique=False)
    op.create_index(
        "user_identifications_by_time", "user_identifications", ["site_id", "occurred_at", "event_id"], unique=False
    )
    op.create_index("user_identifications_by_visit", "user_identifications", ["site_id", "visit_id"], unique=False)
    op.create_table(
        "visits",
        sa.Column("site_id", sa.Integer(), nullable=False),
        sa.Column("visit_id", sa.LargeBinary(length=16), nullable=False),
        sa.Column("device_id", sa.LargeBinary(length=16), nullable=True),
        sa.Column("started_at", sa.BigInteger(), nullable=False),
        sa.Column("last_event_at", sa.BigInteger(), nullable=False),
        sa.Column("since_at", sa.BigInteger(), nullable=False),
        sa.Column("arrived_at", sa.BigInteger(), nullable=False),
        sa.Column("user_agent_id", sa.LargeBinary(length=16), nullable=True),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("identity_id", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("site_id", "visit_id"),
    )
    op.create_index("visits_by_arrival", "visits", ["site_id", "arrived_at", "visit_id"], unique=False)
    op.create_index("visits_by_device", "visits", ["site_id", "device_id", "started_at"], unique=False)
    op.create_index("visits_by_state", "visits", ["site_id", "state", "arrived_at", "visit_id"], unique=False)


def _create_history() -> None:
    """What visits are told by, beside the visits themselves."""
    op.create_table(
        "contacts",
        sa.Column("site_id", sa.Integer(), nullable=False),
        sa.Column("contact_id", sa.LargeBinary(length=16), nullable=False),
        sa.Column("visit_id", sa.LargeBinary(length=16), nullable=False),
        sa.Column("device_id", sa.LargeBinary(length=16), nullable=True),
        sa.Column("session_id", sa.LargeBinary(length=16), nullable=True),
        sa.Column("profile_id", sa.LargeBinary(length=16), nullable=False),
        sa.Column("identity_id", sa.Text(), nullable=False),
        sa.Column("occurred_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("site_id", "contact_id"),
    )
    op.create_index(
        "contacts_by_device", "contacts", ["site_id", "device_id", "occurred_at", "contact_id"], unique=False
    )
    op.create_index(
        "contacts_by_identity", "contacts", ["site_id", "identity_id", "occurred_at", "contact_id"], unique=False
    )
    op.create_index("contacts_by_profile", "contacts", ["site_id", "profile_id"], unique=False)
    op.create_index("contacts_by_time", "contacts", ["site_id", "occurred_at", "contact_id"], unique=False)
    op.create_index("contacts_by_visit", "contacts", ["site_id", "visit_id"], unique=False)
    op.create_table(
        "identities",
        sa.Column("site_id", sa.Integer(), nullable=False),
        sa.Column("identity_id", sa.Text(), nullable=False),
        sa.Column("first_at", sa.BigInteger(), nullable=False),
        sa.Column("last_at", sa.BigInteger(), nullable=False),
        sa.Column("arrived_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("site_id", "identity_id"),
    )
    op.create_index("identities_by_arrival", "identities", ["site_id", "arrived_at", "identity_id"], unique=False)
    op.create_table(
        "interactions",
        sa.Column("site_id", sa.Integer(), nullable=False),
        sa.Column("interaction_id", sa.LargeBinary(length=16), nullable=False),
        sa.Column("visit_id", sa.LargeBinary(length=16), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("identification", sa.Text(), nullable=False),
        sa.Column("identity_id", sa.Text(), nullable=True),
        sa.Column("confidence", sa.SmallInteger(), nullable=False),
        sa.Column("decided_at", sa.BigInteger(), nullable=True),
        sa.Column("decided_identity_id", sa.Text(), nullable=True),
        sa.Column("body", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("site_id", "interaction_id"),
    )
    op.create_index("interactions_by_time", "interactions", ["site_id", "created_at", "interaction_id"], unique=False)
    op.create_index("interactions_by_visit", "interactions", ["site_id", "visit_id"], unique=False)
    is_pending = sa.text("identification = 'agent_decides' AND decided_at IS NULL")
    op.create_index(
        "interactions_pending",
        "interactions",
        ["site_id", "created_at", "interaction_id"],
        unique=False,
        sqlite_where=is_pending,
        postgresql_where=is_pending,
    )
    op.create_table(
        "user_agents",
        sa.Column("site_id", sa.Integer(), nullable=False),
        sa.Column("user_agent_id", sa.LargeBinary(length=16), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("site_id", "user_agent_id"),
    )
    op.create_table(
        "visit_profiles",
        sa.Column("site_id", sa.Integer(), nullable=False),
        sa.Column("profile_id", sa.LargeBinary(length=16), nullable=False),
        sa.Column("visit_id", sa.LargeBinary(length=16), nullable=False),
        sa.PrimaryKeyConstraint("site_id", "profile_id", "visit_id"),
    )
    op.create_index("visit_profiles_by_visit", "visit_profiles", ["site_id", "visit_id", "profile_id"], unique=False)
