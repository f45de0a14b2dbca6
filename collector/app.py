"""Puts the collector together from its settings and runs it until it is asked to stop."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import resource
import secrets
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass

import structlog
import uuid_utils
import uvloop
from aiohttp import web
from sqlalchemy import Connection

from collector import __version__
from collector.config import Config, ConfigError
from collector.domain.identity_token import mark_of
from collector.recorder import Recorder
from collector.recorder.retention import Retention
from collector.store.database import Database
from collector.store.driver import SQLITE_VERSION
from collector.store.erasure import Erasures
from collector.store.migrate import upgrade
from collector.store.sites import fetch_or_insert_value, fetch_sites, replace_value
from collector.web.api.access import ADMINISTRATION, Administration
from collector.web.api.scrubber import Scrubber
from collector.web.body import Patience
from collector.web.bots import read_agent
from collector.web.connections import Listener
from collector.web.cookies import CookieJar
from collector.web.edge import EDGE, Edge
from collector.web.lane import Lane
from collector.web.limits import Limits
from collector.web.provider import ProviderUnusable, Recognition, load_provider
from collector.web.proxies import Proxies
from collector.web.routes import connection_settings, make_web_app
from collector.web.sdk_file import Sdk, find_sdk
from collector.web.sites import SiteDirectory
from collector.web.tokens import Tokens

log = structlog.get_logger()


def now_ms() -> int:
    """Milliseconds UTC."""
    return time.time_ns() // 1_000_000


def mint_id() -> str:
    """A fresh UUIDv7."""
    return str(uuid_utils.uuid7())


def installation_secret(database: Database) -> str:
    """The secret that this installation made for itself; it keys what is known of the erased, so it never changes."""
    return database.transact(fetch_or_insert_value, "secret_key", fresh_secret())


def fresh_secret() -> str:
    """What becomes the secret of an installation that has none."""
    return secrets.token_urlsafe(48)


def remember_secret(conn: Connection, secret: str) -> bool:
    """Keep a mark of the secret that servers run with, for commands to compare; False if it was another one before."""
    mark = mark_of(secret)
    if fetch_or_insert_value(conn, "secret_mark", mark) == mark:
        return True
    replace_value(conn, "secret_mark", mark)
    return False


def create_app(config: Config) -> web.Application:
    """The application; its resources are opened when it starts and closed, last first, when it ends."""
    app = make_web_app(config.prefix, config.keepalive_timeout_s)
    recognition = make_recognition(config)

    async def open_parts(app: web.Application) -> AsyncIterator[None]:
        database = Database(config.database_url)
        await database.write_long(upgrade)
        own_secret = await database.write(fetch_or_insert_value, "secret_key", fresh_secret())
        secret = config.secret_key or own_secret
        if not await database.write(remember_secret, secret):
            log.warning("secret_key_changed", void="cookies and token keys made with the one before")
        erasures = Erasures(own_secret)
        recorder = Recorder(database, erasures, now_ms, mint_id, config.queue_size)
        sites = SiteDirectory(lambda: database.read(fetch_sites))
        retention = Retention(database, now_ms)
        await recorder.start()
        await sites.start()
        await retention.start()
        app[EDGE] = make_edge(config, recorder, sites, secret, recognition)
        app[ADMINISTRATION] = Administration(database, erasures, Scrubber(database.scrub))
        yield
        await retention.stop()
        await sites.stop()
        await recorder.stop(config.shutdown_grace_s)
        await database.close()

    app.cleanup_ctx.append(open_parts)
    return app


def make_recognition(config: Config) -> Recognition | None:
    """The site owner's own recognition, if there is one (R15). Raises `ConfigError`."""
    try:
        provider = load_provider(config.profile_provider)
    except ProviderUnusable as error:
        raise ConfigError(f"profile_provider: {error}") from error
    return None if provider is None else Recognition(provider)


def make_edge(
    config: Config, recorder: Recorder, sites: SiteDirectory, secret: str, recognition: Recognition | None
) -> Edge:
    """What the handlers share, as the settings want it."""
    sdk = Sdk(find_sdk())
    if sdk.source is None:
        log.warning("sdk_not_built", hint="make sdk")
    return Edge(
        recorder=recorder,
        sites=sites,
        cookies=CookieJar(
            secret,
            is_secure=config.public_url.startswith("https:"),
            crosses_sites=config.cookie_mode == "cross_site",
            has_host_prefix=config.cookie_host_prefix,
        ),
        sdk=sdk,
        now=now_ms,
        fresh_id=mint_id,
        tokens=Tokens(secret),
        limits=Limits(
            per_key=config.rate_per_key,
            per_address=config.rate_per_address,
            per_device=config.rate_per_device,
            identify_per_address=config.identify_rate_per_address,
            identify_per_device=config.identify_rate_per_device,
        ),
        proxies=Proxies(config.trusted_proxies),
        patience=Patience(config.body_timeout_s, min(5.0, config.body_timeout_s)),
        recognition=recognition,
    )


GC_THRESHOLD = 150_000  # what a group of requests leaves is no garbage in cycles, hence not worth many looks


@dataclass(frozen=True, slots=True)
class Post:
    """Where one of several workers stands: its socket, a pipe that ends with whoever watches it, one to say "ready"."""

    listening: socket.socket
    life: int
    ready: int


def run(config: Config, post: Post | None = None) -> None:
    """Serve until SIGINT or SIGTERM; what has arrived by then is stored and answered first."""
    configure_logging(config.log_level)
    sys.setswitchinterval(0.0005)  # so that the thread that writes gets its turn beside the loop
    _allow_many_connections()
    uvloop.run(serve(config, post))


async def serve(config: Config, post: Post | None = None) -> None:
    """Listen, say so in one line on standard output (a worker: at its post), and wait for a signal."""
    stopping = asyncio.Event()
    if post is not None:
        asyncio.get_running_loop().add_reader(post.life, stopping.set)
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    runner = web.AppRunner(create_app(config), shutdown_timeout=config.shutdown_grace_s)
    await runner.setup()
    edge = runner.app[EDGE]
    # A recognition of the site owner's own is asked about requests as aiohttp knows them.
    lane = None if edge.recognition else Lane(edge, f"{config.prefix}/v1/collect", asyncio.get_running_loop())
    try:
        settings = connection_settings(config.keepalive_timeout_s)
        listening = None if post is None else post.listening
        listener = Listener(runner, config.host, config.port, config.header_timeout_s, settings, listening, lane)
        await listener.start()
        if post is None:
            sys.stdout.write(f"Regulars listens on {listener.name}{config.prefix}/\n")
            sys.stdout.flush()
        else:
            os.write(post.ready, b"1")
        log.info("started", version=__version__, address=listener.name, sqlite=SQLITE_VERSION)
        await asyncio.to_thread(read_agent, "")  # compiles the list of crawlers
        gc.collect()
        gc.freeze()
        gc.set_threshold(GC_THRESHOLD)
        await stopping.wait()
        if post is not None:
            asyncio.get_running_loop().remove_reader(post.life)
        log.info("stopping")
    finally:
        await runner.cleanup()
    log.info("stopped")


def configure_logging(level: str) -> None:
    """JSON lines on standard error, our own and those of the libraries."""
    threshold = logging.getLevelNamesMapping()[level.upper()]
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(threshold),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    formatter = structlog.stdlib.ProcessorFormatter(
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ],
        foreign_pre_chain=[structlog.stdlib.add_log_level, structlog.processors.TimeStamper(fmt="iso", utc=True)],
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(formatter)
    logging.basicConfig(handlers=[handler], level=max(threshold, logging.WARNING), force=True)


def _allow_many_connections() -> None:
    """As many open files as the system lets us have; each connection is one."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
