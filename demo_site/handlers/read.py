"""The stories: one page application. The server renders every address, the browser moves between them by itself."""

from __future__ import annotations

from aiohttp import web

from demo_site import stories
from demo_site.pages import page


async def get_stories(request: web.Request) -> web.Response:
    """The overview, or the stories of one `?topic=`."""
    topic = request.query.get("topic", "")
    shown_topic = topic if topic in stories.TOPICS else ""
    return page(
        request, "stories.html", stories=stories.STORIES, topics=stories.TOPICS, topic=shown_topic, open_story=None
    )


async def get_story(request: web.Request) -> web.Response:
    """One story, in the same page as all others."""
    story = stories.find(request.match_info["slug"])
    if story is None:
        raise web.HTTPNotFound
    return page(request, "stories.html", stories=stories.STORIES, topics=stories.TOPICS, topic="", open_story=story)
