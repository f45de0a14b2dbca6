"""Every URL of the collector. `prefix` stands in front of all of them."""

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
from collector.web.sdk import get_sdk, get_sdk_version, get_versioned_sdk


def routes(prefix: str = "") -> list[web.RouteDef]:
    """Method, path, handler."""
    return [
        web.get(f"{prefix}/sdk.js", get_sdk),
        web.get(f"{prefix}/sdk/version.json", get_sdk_version),
        web.get(f"{prefix}/sdk/{{version}}/sdk.js", get_versioned_sdk),
        web.post(f"{prefix}/v1/collect", post_batch, name="collect"),
        web.options(f"{prefix}/v1/collect", answer_preflight),
        web.post(f"{prefix}/v1/consent", post_consent, name="consent"),
        web.options(f"{prefix}/v1/consent", answer_preflight),
        web.get(f"{prefix}/v1/pixel.gif", get_pixel, name="pixel"),
        web.get(f"{prefix}/healthz", get_healthz),
        web.get(f"{prefix}/readyz", get_readyz),
        web.get(f"{prefix}/metrics", get_metrics),
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
    return app
