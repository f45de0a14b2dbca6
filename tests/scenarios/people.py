"""Who appears in the scenarios, and what many of them begin with."""

from __future__ import annotations

from tests.stage import Browser, Stage

X, Y, Z = "customer-x", "customer-y", "customer-z"
E, F = "erin@example.com", "fred@example.com"


async def somebody(stage: Stage, cid: str | None = None, email: str | None = None) -> Browser:
    """Another device on which somebody said who they are; it was there before anybody else."""
    browser = stage.browser()
    await browser.tracks()
    if cid is not None:
        await browser.says(cid, email)
    elif email is not None:
        await browser.submits(email)
    stage.passes(minutes=10)
    return browser


async def returns_without_contact(stage: Stage) -> tuple[Browser, str]:
    """A browser whose earlier UID and CurrentContact are gone, and that earlier UID."""
    browser = await somebody(stage)
    uid = browser.uid
    browser.loses("script", "contact")
    stage.passes(days=2)
    browser.arrives()
    await browser.tracks()
    return browser, uid
