"""Every URL of the collector, on one screen but for those of the API. `prefix` stands in front of all of them."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from collector.web.api import ENDPOINTS
from collector.web.api.endpoint import answering
from collector.web.collect import post_batch
from collector.web.consent import post_consent
from collector.web.health import get_healthz, get_metrics, get_readyz
from collector.web.middleware import answer_failures
from collector.web.pixel import get_pixel
from collector.web.preflight import answer_preflight
from collector.web.reference import DESCRIPTION, Description, get_document, get_reference
from collector.web.sdk import get_sdk, get_sdk_version, get_versioned_sdk
from collector.web.surface import (
    Address,
    Answer,
    Audience,
    BatchVerdict,
    Consent,
    ConsentKept,
    Health,
    Pixel,
    SdkVersion,
    SentBatch,
)

PAGE, SCRIPT, OPERATOR, READER = Audience
KEY = ("unknown_key", "site_disabled")
ORIGIN = (*KEY, "origin_not_allowed")
STORING = (*ORIGIN, "rate_limited", "storage_unavailable", "storage_full")
SENT = (
    *STORING, "malformed_json", "malformed_gzip", "request_timeout", "body_too_large", "unsupported_media_type",
    "unsupported_encoding",
)  # fmt: skip

JAVASCRIPT = Answer("The script.", media_type="text/javascript")
UNCHANGED = Answer("The script of the ETag is still the one.", 304, None)
ALIVE = Answer("The process is alive.", body=Health)
READY = Answer("Events can be stored.", body=Health)
NOT_READY = Answer("Not now.", 503, body=Health)
PREFLIGHT = (Answer("What pages of the site may send.", 204, None),)
GIF = Answer("One transparent pixel; the event is stored.", media_type="image/gif")
FIGURES = Answer("The counters.", media_type="text/plain")
DOCUMENT = Answer("The document.", body=dict[str, Any])
HTML = Answer("The page.", media_type="text/html")
VERDICT, KEPT = Answer("Every event has its verdict.", body=BatchVerdict), Answer("It is kept.", body=ConsentKept)
VERSION = Answer("The version of now.", body=SdkVersion)

ADDRESSES = (
    Address("GET", "/sdk.js", get_sdk, "The SDK with the settings of the site", SCRIPT, (JAVASCRIPT, UNCHANGED),
            (*KEY, "not_found"), is_keyed=True),
    Address("GET", "/sdk/version.json", get_sdk_version, "Version, path and integrity value of the SDK", SCRIPT,
            (VERSION,), ("not_found",)),
    Address("GET", "/sdk/{version}/sdk.js", get_versioned_sdk, "The SDK of this very version", SCRIPT,
            (JAVASCRIPT, UNCHANGED), ("not_found",)),
    Address("POST", "/v1/collect", post_batch, "Record a batch of events", PAGE, (VERDICT,), (*SENT, "too_many_events"),
            name="collect", body=SentBatch, is_keyed=True),
    Address("OPTIONS", "/v1/collect", answer_preflight, "Whether a page may send", PAGE, PREFLIGHT, ORIGIN,
            is_keyed=True),
    Address("POST", "/v1/consent", post_consent, "Keep a visitor's decision", PAGE, (KEPT,), SENT,
            name="consent", body=Consent, is_keyed=True),
    Address("OPTIONS", "/v1/consent", answer_preflight, "Whether a page may send", PAGE, PREFLIGHT, ORIGIN,
            is_keyed=True),
    Address("GET", "/v1/pixel.gif", get_pixel, "Record one event without a script", PAGE, (GIF,), STORING,
            name="pixel", query=Pixel, is_keyed=True),
    Address("GET", "/healthz", get_healthz, "Whether the process is alive", OPERATOR, (ALIVE,)),
    Address("GET", "/readyz", get_readyz, "Whether events can be stored", OPERATOR, (READY, NOT_READY)),
    Address("GET", "/metrics", get_metrics, "What was counted, for Prometheus", OPERATOR, (FIGURES,)),
    Address("GET", "/openapi.json", get_document, "This document", READER, (DOCUMENT,)),
    Address("GET", "/reference", get_reference, "This document as a page", READER, (HTML,)),
)  # fmt: skip


def routes(prefix: str = "") -> list[web.RouteDef]:
    """Method, path, handler."""
    return [
        *(web.route(each.method, prefix + each.path, each.handler, name=each.name) for each in ADDRESSES),
        *(web.route(each.method, prefix + each.path, answering(each)) for each in ENDPOINTS),
    ]


def connection_settings(keepalive_timeout_s: float = 75.0) -> dict[str, Any]:
    """What aiohttp is told about every connection. Bodies are decompressed here, with limits, and not by aiohttp."""
    return {
        "access_log": None,
        "auto_decompress": False,
        "keepalive_timeout": keepalive_timeout_s,
        "lingering_time": 10.0,
    }


def make_web_app(prefix: str = "", keepalive_timeout_s: float = 75.0) -> web.Application:
    """An application that answers at every URL; whoever starts it puts an `Edge` into it."""
    app = web.Application(middlewares=[answer_failures], handler_args=connection_settings(keepalive_timeout_s))
    app.add_routes(routes(prefix))
    app[DESCRIPTION] = Description(ADDRESSES, ENDPOINTS, prefix)
    return app
