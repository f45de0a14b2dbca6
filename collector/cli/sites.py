"""The work of `regulars site`: adding, listing and changing sites."""

from __future__ import annotations

import dataclasses
import secrets
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import orjson
from rich.text import Text
from sqlalchemy import Connection

from collector import __version__
from collector.cli.opening import choose_site, existing_database, migrated_database, patiently, read_settings
from collector.cli.output import plain, say, say_pairs
from collector.cli.site_settings import change_settings, parse_origins
from collector.cli.tag import published_tag
from collector.cli.trouble import Trouble
from collector.clock import now_ms
from collector.domain.keys import SECRET_KEY_BYTES, WRITE_KEY_BYTES, hash_secret, secret_key_of, write_key_of
from collector.domain.site import Site, SiteSettings
from collector.store.sites import NameTaken, fetch_site_by_name, fetch_sites, insert_site, update_site
from collector.web.sdk_file import find_sdk, integrity_of
