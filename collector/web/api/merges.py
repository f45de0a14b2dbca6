"""`/api/v1/merges`: the journal of merges of a site."""

from __future__ import annotations

from aiohttp import web

from collector.domain.explain import merge_document
from collector.domain.site import Site
from collector.store.people import fetch_journal
from collector.web.api.access import ADMINISTRATION, authorised, reply
from collector.web.api.parameters import cursor, read_limit, read_start


@authorised
async def get_merges(request: web.Request, site: Site) -> web.Response:
    """A page of the journal, newest first; `next` is the `start` of the following page, null at the end."""
    limit = read_limit(request)
    start = read_start(request, parts=1)
    before = None if start is None else start[0]
    merges = await request.app[ADMINISTRATION].database.read(fetch_journal, site.site_id, limit + 1, before)
    page = merges[:limit]
    following = cursor(page[-1].merge_id) if len(merges) > limit else None
    return reply({"items": [merge_document(merge) for merge in page], "next": following})
