"""Looking around: home, catalogue with search, product, privacy, and the page that is not there."""

from __future__ import annotations

from aiohttp import web

from demo_site import catalogue, stories
from demo_site.facts import Fact, item_fact
from demo_site.pages import page


async def get_home(request: web.Request) -> web.Response:
    """The front page."""
    return page(request, "home.html", favourites=catalogue.FAVOURITES, story=stories.TEASER)


async def get_catalogue(request: web.Request) -> web.Response:
    """All products, or those of `?category=` and `?q=`."""
    category = catalogue.find_category(request.query.get("category", ""))
    words = request.query.get("q", "").strip()[:80]
    found = catalogue.select(category, words)
    facts: Fact = {"search": {"search_keyword": words, "results": len(found)}} if words else {}
    return page(request, "catalogue.html", facts=facts, category=category, words=words, products=found)


async def get_product(request: web.Request) -> web.Response:
    """One product."""
    product = catalogue.find_product(request.match_info["slug"])
    if product is None:
        raise web.HTTPNotFound
    facts: Fact = {"viewed": item_fact(product)}
    return page(request, "product.html", facts=facts, product=product, related=catalogue.related_to(product))


async def get_privacy(request: web.Request) -> web.Response:
    """What the shop records, and the two ways of leaving."""
    return page(request, "privacy.html")
