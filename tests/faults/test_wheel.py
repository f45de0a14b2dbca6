"""The wheel holds everything, and runs as the image runs it: elsewhere, unprivileged, with only /data to write to.

No container engine is needed: the last stage of the Dockerfile is read, its command, settings and health check are
carried out in a clean virtual environment that holds the locked requirements and the wheel.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import time
import urllib.request
import venv
import zipfile
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest
import uuid_utils

ROOT = Path(__file__).resolve().parents[2]
ORIGIN = "http://shop.example"
START_S = 60
STOP_S = 30


def run(*command: object, **options: object) -> subprocess.CompletedProcess[str]:
    """Run to the end; the caller looks at the status."""
    words = [str(word) for word in command]
    return subprocess.run(words, capture_output=True, text=True, timeout=300, check=False, **options)  # type: ignore[call-overload]


def uv(*arguments: object) -> subprocess.CompletedProcess[str]:
    """`uv pip …`, with the uv of this environment."""
    return run(Path(sys.executable).with_name("uv"), "--system-certs", "pip", *arguments)


def final_stage() -> dict[str, list[str]]:
    """Instruction → its arguments, of the Dockerfile's last stage."""
    text = re.sub(r"^#.*\n", "", (ROOT / "Dockerfile").read_text(), flags=re.MULTILINE).replace("\\\n", " ")
    stage: dict[str, list[str]] = {}
    for line in text[text.rindex("FROM ") :].splitlines():
        if line.strip():
            instruction, _, argument = line.strip().partition(" ")
            stage.setdefault(instruction, []).append(argument.strip())
    return stage


def image_settings(data: Path, port: int) -> dict[str, str]:
    """The image's environment, with `data` in the place of its volume and `port` on loopback alone."""
    pairs = (word.split("=", 1) for line in final_stage()["ENV"] for word in shlex.split(line))
    settings = {name: value.replace("/data/", f"{data}/") for name, value in pairs if name != "PATH"}
    return settings | {"REGULARS_HOST": "127.0.0.1", "REGULARS_PORT": str(port)}


def fetch(url: str, body: dict[str, object] | None = None) -> tuple[int, bytes]:
    """GET, or POST as a browser on the shop's page does it."""
    headers = {"Origin": ORIGIN, "Content-Type": "text/plain;charset=UTF-8"} if body else {}
    data = json.dumps(body).encode() if body else None
    with urllib.request.urlopen(urllib.request.Request(url, data, headers), timeout=10) as response:
        return response.status, response.read()


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built with the tools of this environment."""
    folder = tmp_path_factory.mktemp("wheel")
    built = run(
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--no-deps",
        "--no-build-isolation",
        "--wheel-dir",
        folder,
        ROOT,
        cwd=folder,
    )
    assert built.returncode == 0, built.stdout + built.stderr
    (path,) = folder.glob("regulars-*.whl")
    return path


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bin folder of a clean environment with the locked requirements and the wheel, and nothing else."""
    folder = tmp_path_factory.mktemp("clean")
    venv.create(folder, symlinks=True)
    for arguments in (["--require-hashes", "-r", ROOT / "requirements.txt"], ["--no-deps", "--offline", wheel]):
        done = uv("install", "--compile-bytecode", *arguments, "--python", folder / "bin" / "python")
        assert done.returncode == 0, done.stderr
    complete = uv("check", "--python", folder / "bin" / "python")
    assert complete.returncode == 0, complete.stderr
    return folder / "bin"


@dataclass(frozen=True, slots=True)
class Service:
    """A running collector, the keys of its one site, and the folders that it was given."""

    url: str
    keys: dict[str, str]
    process: subprocess.Popen[bytes]
    env: dict[str, str]
    data: Path
    elsewhere: Path
    log: Path


@pytest.fixture
def service(installed: Path, tmp_path: Path) -> Iterator[Service]:
    """`regulars serve` as the image starts it, in a working directory that it cannot write to."""
    data, elsewhere, log = tmp_path / "data", tmp_path / "elsewhere", tmp_path / "log"
    data.mkdir()
    elsewhere.mkdir(mode=0o555)
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    env = {"PATH": f"{installed}:/usr/bin:/bin", "HOME": str(elsewhere)} | image_settings(data, port)
    added = run(
        *without_override(), "regulars", "site", "add", "shop", "--origin", ORIGIN, "--json", cwd=elsewhere, env=env
    )
    assert added.returncode == 0, added.stdout + added.stderr
    command = [*without_override(), *json.loads(final_stage()["CMD"][0])]
    with log.open("wb") as output:
        process = subprocess.Popen(command, cwd=elsewhere, env=env, stdout=output, stderr=output)
    url = f"http://127.0.0.1:{port}"
    try:
        wait_until_ready(url, process, log)
        yield Service(url, json.loads(added.stdout), process, env, data, elsewhere, log)
    finally:
        process.kill()
        process.wait()


def without_override() -> list[str]:
    """As root: a prefix that makes permission bits count, as they do for the image's user."""
    return ["setpriv", "--bounding-set=-dac_override,-dac_read_search", "--"] if os.geteuid() == 0 else []


def wait_until_ready(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    until = time.monotonic() + START_S
    while process.poll() is None and time.monotonic() < until:
        try:
            if fetch(f"{url}/readyz")[0] == 200:
                return
        except OSError:
            time.sleep(0.05)
    pytest.fail(f"no collector at {url}: status {process.poll()}, it said\n{log.read_text()}")


def test_the_image_starts_what_was_installed_and_runs_unprivileged() -> None:
    stage = final_stage()
    assert json.loads(stage["CMD"][-1]) == ["regulars", "serve"]
    assert stage["USER"][-1].partition(":")[0] not in ("root", "0")
    assert stage["VOLUME"] == ["/data"]
    assert not {"ADD", "ARG"} & stage.keys()
    assert all(argument.startswith("--from=") for argument in stage["COPY"])  # nothing straight from the checkout
    (port,) = (word for line in stage["ENV"] for word in shlex.split(line) if word.startswith("REGULARS_PORT="))
    assert stage["EXPOSE"] == [port.partition("=")[2]]


def test_the_wheel_holds_package_migrations_web_files_and_built_sdk_alone(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
        for built in ("sdk.js", "stub.js"):
            assert archive.read(f"collector/web/static/{built}") == (ROOT / "sdk_js" / "dist" / built).read_bytes()
    kept = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "collector").rglob("*")
        if path.is_file() and path.suffix != ".pyc"
    }
    assert names == kept | {"collector/web/static/sdk.js", "collector/web/static/stub.js"}
    assert any(name.startswith("collector/store/migrations/") for name in names)


def test_a_wheel_without_the_built_sdk_is_refused(tmp_path: Path) -> None:
    for name in ("pyproject.toml", "README.md", "LICENSE", "scripts/hatch_build.py", "collector/__init__.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    built = run(sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", tmp_path, cwd=tmp_path)
    assert built.returncode != 0
    assert "The SDK is not built: sdk_js/dist/sdk.js is missing. Run `make sdk` first." in built.stdout + built.stderr
    assert not list(tmp_path.glob("*.whl"))


def test_the_installed_collector_serves_stores_and_stops(service: Service) -> None:
    assert fetch(f"{service.url}/healthz")[0] == 200
    key = service.keys["write_key"]
    status, script = fetch(f"{service.url}/sdk.js?site={key}")
    assert status == 200
    assert (ROOT / "sdk_js" / "dist" / "sdk.js").read_bytes().strip() in script
    assert key.encode() in script

    status, answer = fetch(f"{service.url}/v1/collect?site={key}", one_page_view())
    assert (status, json.loads(answer)["accepted"]) == (200, 1), answer

    service.process.send_signal(signal.SIGTERM)
    assert service.process.wait(STOP_S) == 0, service.log.read_text()
    with closing(sqlite3.connect(service.data / "regulars.db")) as database:
        assert database.execute("SELECT count(*) FROM events").fetchone() == (1,)
    assert list(service.elsewhere.iterdir()) == []


def test_the_health_check_of_the_image_tells_a_running_collector_from_a_stopped_one(service: Service) -> None:
    command = json.loads(final_stage()["HEALTHCHECK"][0].partition("CMD ")[2])
    healthy = run(*command, cwd=service.elsewhere, env=service.env)
    assert healthy.returncode == 0, healthy.stderr
    service.process.terminate()
    service.process.wait(STOP_S)
    assert run(*command, cwd=service.elsewhere, env=service.env).returncode == 1


def one_page_view() -> dict[str, object]:
    now = time.time_ns() // 1_000_000
    ids = {name: str(uuid_utils.uuid7()) for name in ("event_id", "uid", "visit", "page")}
    event = {"category": "page", "action": "view", "uid_origin": "first", "seq": 1, "at": now, "title": "Shop"}
    page = {"url": f"{ORIGIN}/", "referrer": ""}
    return {
        "sent_at": now,
        "tz": 60,
        "sdk": "0.1.0",
        "device": str(uuid_utils.uuid4()),
        "events": [ids | event | page],
    }
