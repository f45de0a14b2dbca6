"""`make demo` once everything is installed: two servers, one banner, a clean end, one line when something is wrong."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
STOP_S = 60

Demo = subprocess.Popen[str]
Start = Callable[..., Demo]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts the demo with its data in `tmp_path`; whatever still runs at the end is ended."""
    started: list[Demo] = []

    def start_demo(**settings: str) -> Demo:
        env = os.environ | {"DEMO_DIR": str(tmp_path)} | settings
        command = [sys.executable, str(ROOT / "scripts" / "demo.py")]
        demo = subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        started.append(demo)
        return demo

    yield start_demo
    for demo in started:
        demo.terminate()
        demo.communicate(timeout=STOP_S)


def free_ports() -> dict[str, str]:
    with socket.socket() as one, socket.socket() as two:
        one.bind(("127.0.0.1", 0))
        two.bind(("127.0.0.1", 0))
        return {"DEMO_PORT": str(one.getsockname()[1]), "DEMO_SHOP_PORT": str(two.getsockname()[1])}


def banner(demo: Demo) -> str:
    """What the demo prints once both servers are up."""
    assert demo.stdout is not None
    lines: list[str] = []
    for line in demo.stdout:
        lines.append(line)
        if line.startswith("Ctrl-C"):
            return "".join(lines)
    pytest.fail(f"the demo ended early: {demo.communicate()[1]}")


def test_the_demo_serves_shop_and_collector_until_it_is_asked_to_stop(start: Start) -> None:
    ports = free_ports()
    demo = start(**ports)
    text = banner(demo)
    shop, collector = (f"http://127.0.0.1:{ports[name]}/" for name in ("DEMO_SHOP_PORT", "DEMO_PORT"))
    assert shop in text
    assert collector in text
    (sdk,) = re.findall(r'<script async src="(.*?)"></script>', text)
    for url in (shop, f"{collector}healthz", sdk):
        with urllib.request.urlopen(url, timeout=10) as answer:
            assert answer.status == 200
    ((header, history),) = re.findall(r'curl -H "Authorization: (.*?)" (\S+)', text)
    request = urllib.request.Request(history, headers={"Authorization": header})
    with urllib.request.urlopen(request, timeout=10) as answer:
        assert answer.status == 204, "nobody was there yet"
    demo.send_signal(signal.SIGINT)
    output, error = demo.communicate(timeout=STOP_S)
    assert (demo.returncode, output.strip(), error) == (0, "Stopped.", "")
    for port in ports.values():
        with socket.socket() as probe:
            assert probe.connect_ex(("127.0.0.1", int(port))) != 0


def test_a_second_run_on_other_ports_keeps_the_site_and_moves_its_origins(start: Start, tmp_path: Path) -> None:
    keys, origins = [], []
    for _ in range(2):
        ports = free_ports()
        demo = start(**ports)
        keys += re.findall(r"sdk\.js\?site=(\w+)", banner(demo))
        demo.terminate()
        assert demo.wait(STOP_S) == 0
        origins.append([f"http://{host}:{ports['DEMO_SHOP_PORT']}" for host in ("127.0.0.1", "localhost")])
    assert keys[0] == keys[1]
    assert sites(tmp_path) == [{"name": "demo", "write_key": keys[0], "origins": origins[1]}]
    assert origins[0] != origins[1]
    assert (tmp_path / "site.json").stat().st_mode & 0o077 == 0


def sites(folder: Path) -> list[dict[str, object]]:
    command = [sys.executable, "-m", "collector", "site", "list", "--json"]
    env = os.environ | {"REGULARS_DATABASE_URL": f"sqlite:///{folder}/regulars.db"}
    listed = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=True).stdout
    return [{name: site[name] for name in ("name", "write_key", "origins")} for site in json.loads(listed)["sites"]]


def test_a_port_that_was_asked_for_and_is_taken_is_one_line(start: Start) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        demo = start(**free_ports() | {"DEMO_SHOP_PORT": port})
        output, error = demo.communicate(timeout=STOP_S)
    assert (demo.returncode, output) == (1, "")
    assert error == f"demo: Port {port} is taken; choose another one with DEMO_SHOP_PORT\n"


def test_a_server_that_dies_ends_the_demo_with_its_last_words(start: Start, tmp_path: Path) -> None:
    (tmp_path / "regulars.db").write_text("this is no database, and far too short to be one\n" * 40)
    ports = free_ports()
    origins = [f"http://{host}:{ports['DEMO_SHOP_PORT']}" for host in ("127.0.0.1", "localhost")]
    (tmp_path / "site.json").write_text(json.dumps({"write_key": "x", "secret_key": "y", "origins": origins}))
    demo = start(**ports)
    output, error = demo.communicate(timeout=STOP_S)
    assert (demo.returncode, output) == (1, "")
    assert re.fullmatch(r"demo: The collector ended with status \d+: .+ \(all of it: .*collector\.log\)\n", error), (
        error
    )
