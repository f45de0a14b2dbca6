"""Every address of the shop."""

from __future__ import annotations

from pathlib import Path

from aiohttp import web

from demo_site.handlers import browse, buy, people, read

STATIC = Path(__file__).resolve().parent / "static"


def add_routes(app: web.Application) -> None:
    """Adds them to the application."""
    app.add_routes(
        [
            web.get("/", browse.get_home),
            web.get("/catalogue", browse.get_catalogue),
            web.get("/products/{slug}", browse.get_product),
            web.get("/privacy", browse.get_privacy),
            web.get("/cart", buy.get_basket),
            web.post("/cart/add", buy.post_add),
            web.post("/cart/remove", buy.post_remove),
            web.get("/checkout", buy.get_checkout),
            web.post("/checkout", buy.post_checkout),
            web.get("/orders/{order_id}", buy.get_order),
            web.get("/newsletter", people.get_newsletter),
            web.post("/newsletter", people.post_newsletter),
            web.get("/sign-up", people.get_sign_up),
            web.post("/sign-up", people.post_sign_up),
            web.get("/sign-in", people.get_sign_in),
            web.post("/sign-in", people.post_sign_in),
            web.post("/sign-out", people.post_sign_out),
            web.get("/account", people.get_account),
            web.get("/account/details", people.get_details),
            web.post("/account/details", people.post_details),
            web.get("/stories", read.get_stories),
            web.get("/stories/{slug}", read.get_story),
            web.static("/static", STATIC),
        ]
    )
