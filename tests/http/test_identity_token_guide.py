"""The functions of the guide to identity tokens, run as they stand there, against a running collector."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from pytest_aiohttp.plugin import AiohttpClient

from collector.domain.identity_token import token_secret
from tests.api_shop import Shop, open_shop

GUIDE = (Path(__file__).parents[2] / "docs/guide-identity-tokens.md").read_text("utf-8")
MASTER = "a secret of at least 32 characters"
ADDRESS = "gr\u00fcn+1@example.com"
IN_NODE = (
    "process.stdout.write(identityToken(...JSON.parse(require('fs').readFileSync(0)).map((said) => said ?? undefined)))"
)
# What runs it, how the file begins, and how the function is called with the list on standard input.
LANGUAGES: dict[str, tuple[str, str, str]] = {
    "python": (sys.executable, "", "import sys; print(identity_token(*json.load(sys.stdin)), end='')"),
    "js": ("node", "", IN_NODE),
    "php": ("php", "<?php\n", "echo identity_token(...json_decode(file_get_contents('php://stdin')));"),
}


def function_in(language: str) -> str:
    """The first code of that language in the guide."""
    found = re.search(rf"```{language}\n(.*?)```", GUIDE, re.DOTALL)
    assert found is not None
    return found[1]


@pytest.fixture
async def shop(aiohttp_client: AiohttpClient, tmp_path: Path) -> AsyncIterator[Shop]:
    shop = await open_shop(
        aiohttp_client, tmp_path, token_keys=1, config={"secret_key": MASTER}, require_verified_identity=True
    )
    yield shop
    await shop.database.close()


async def made_in(language: str, folder: Path, *arguments: str | None) -> str:
    """The token that the guide's function makes; skips the test where nothing can run it."""
    program, beginning, call = LANGUAGES[language]
    found = shutil.which(program)
    if found is None:
        pytest.skip(f"there is no {program} here; the text was compared with the format")
    file = folder / f"token.{'cjs' if language == 'js' else language}"
    file.write_text(f"{beginning}{function_in(language)}\n{call}\n", "utf-8")
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(found, str(file), stdin=pipe, stdout=pipe, stderr=pipe)
    out, err = await process.communicate(json.dumps(arguments).encode())
    assert (process.returncode, err) == (0, b"")
    return out.decode()


@pytest.mark.parametrize("language", LANGUAGES)
def test_each_is_short_and_says_what_the_format_wants(language: str) -> None:
    code = function_in(language)
    assert len(code.splitlines()) <= 15
    for word in ("alg", "HS256", "sub", "uid", "exp", "email", "86400"):
        assert re.search(rf"\b{word}\b", code), word
    assert code.count("sha256") == 1


@pytest.mark.parametrize("email", [None, ADDRESS])
@pytest.mark.parametrize("language", LANGUAGES)
async def test_what_it_signs_is_believed(language: str, email: str | None, shop: Shop, tmp_path: Path) -> None:
    browser = shop.stage.browser()
    await browser.tracks()
    token = await made_in(language, tmp_path, token_secret(MASTER, shop.site, 1), "c-1", browser.uid, email)
    await browser.says("c-1", email, identity_token=token)
    person = await shop.stage.person(cid="c-1")
    assert (person.email, person.uids, person.warnings) == (email, {browser.uid}, {})
