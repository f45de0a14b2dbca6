"""R15: what takes the place of the built-in recognition has to offer, and what it is told.

Recognition says whose a UID is that nobody has seen before. A UID that is known keeps its profile: that is a fact by
then, and changes by the rules alone (R4, R6, R8).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks to be recognised: one request, as its site and browser present it.

    `contact_id` is the profile that a validly signed `CurrentContact` names, which is all that the built-in recognition
    looks at; `device_id` is None for what does not come from a browser, and cookies are left out then. `cookies` and
    `headers` are as sent: whatever is in them was chosen by the sender, unless it is signed.
    """

    site_id: int
    site: str
    device_id: str | None
    contact_id: str | None
    uids: tuple[str, ...]
    cookies: Mapping[str, str]
    headers: Mapping[str, str]


class CurrentProfileProvider(Protocol):
    """Says which profile a caller is. Ids are those of profiles; one that does not exist (any more) is not adopted."""

    async def get_current(self, caller: Caller) -> str | None:
        """The profile of a browser that sends events; None begins a new, anonymous one for a UID that is new."""

    async def get_existing(self, caller: Caller) -> str | None:
        """The same for events without a browser, such as a pixel in an e-mail: `set_current` will not follow."""

    async def set_current(self, caller: Caller, profile_id: str) -> None:
        """After the events were stored: the browser's profile is this one, and not what `get_current` said."""
