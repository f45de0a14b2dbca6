"""Runs the collector and the demo shop side by side until Ctrl-C, and says what to try.

Data, logs and the site's keys are kept in var/demo, so that a visitor is recognised after a restart; DEMO_DIR names
another folder. Ports are 8080 and 8081, or free ones where those are taken; DEMO_PORT and DEMO_SHOP_PORT insist on one.
Ends with status 0 when it was asked to stop (SIGINT, SIGTERM, SIGHUP) and 1, after one line, when something is wrong.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
HOST = "127.0.0.1"
SITE = "demo"
START_S = 60
STOP_S = 15
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

BANNER = """
Regulars is running.

  Shop       {shop}/
  Collector  {collector}/

The tag that the shop has on every page:

<script>{stub}</script>
<script async src="{collector}/sdk.js?site={key}"></script>

Try this:
  1. Open the shop, look around, put something into the basket. The panel in the corner shows what is sent.
  2. Sign up, for example as ada@example.com.
  3. In a second terminal, see one person with everything done before, and the rule that joined it:

     export REGULARS_DATABASE_URL=sqlite:///{database}
     {regulars} profile --email ada@example.com --explain

  4. What happened, visit by visit; the second command takes an ID that the first one prints. Servers ask the History
     API, which {collector}/reference explains:

     {regulars} visits
     {regulars} visit ID
     curl -H "Authorization: Bearer {secret}" {collector}/backend/data/visits

  5. `{regulars} tail` shows events as they arrive. Sign out, come back, subscribe to the newsletter, watch.

Ctrl-C ends both. Data and logs stay in {folder}; remove it to start afresh.
"""


class Trouble(Exception):
    """Something that the person at the terminal has to know, in one line."""


class Stopped(BaseException):
    """The demo was asked to end."""


@dataclass(frozen=True, slots=True)
class Child:
    """A process of the demo; what it prints goes to `log`."""

    name: str
    process: subprocess.Popen[bytes]
    log: Path

    def check(self) -> None:
        """Raise Trouble, with the last line it printed, when the process has ended."""
        status = self.process.poll()
        if status is not None:
            lines = self.log.read_text(errors="replace").strip().splitlines() or ["it printed nothing"]
            raise Trouble(f"The {self.name} ended with status {status}: {lines[-1]} (all of it: {_shown(self.log)})")

    def stop(self) -> None:
        """Ask the process to end, and end it if it does not."""
        self.process.terminate()
        try:
            self.process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def main() -> int:
    """Run the demo; returns the exit status."""
    for number in STOP_SIGNALS:
        signal.signal(number, _stop)
    folder = Path(os.environ.get("DEMO_DIR", ROOT / "var" / "demo")).absolute()
    try:
        with ExitStack() as running:
            run(folder, running)
    except Trouble as trouble:
        print(f"demo: {trouble}", file=sys.stderr)
        return 1
    except Stopped:
        print("Stopped.")
    return 0


def run(folder: Path, running: ExitStack) -> None:
    """Start both, say what to try and watch them. `running` stops what was started; leaves by Trouble or Stopped."""
    folder.mkdir(parents=True, exist_ok=True)
    port = choose_port("DEMO_PORT", 8080)
    shop_port = choose_port("DEMO_SHOP_PORT", 8081)
    collector, shop = f"http://{HOST}:{port}", f"http://{HOST}:{shop_port}"
    env = collector_settings(folder, port)
    site = keep_site(folder, shop_port, env)
    key = site["write_key"]

    children = [start("collector", ["collector", "serve"], env, folder, running)]
    wait_until_up(f"{collector}/readyz", children)
    command = ["demo_site", "--port", str(shop_port), "--collector", collector, "--site", key]
    children.append(start("shop", command, env, folder, running))
    wait_until_up(f"{shop}/", children)

    banner = BANNER.format(
        shop=shop,
        collector=collector,
        key=key,
        secret=site["secret_key"],
        stub=(ROOT / "sdk_js" / "dist" / "stub.js").read_text().strip(),
        database=_shown(folder / "regulars.db"),
        folder=_shown(folder),
        regulars=_shown(Path(sys.executable).with_name("regulars")),
    )
    print(banner, flush=True)
    while True:
        for child in children:
            child.check()
        time.sleep(0.2)


def choose_port(variable: str, usual: int) -> int:
    """The port that `variable` asks for, else the usual one, else a free one. Raises Trouble when the wish is taken."""
    wish = os.environ.get(variable)
    if wish is not None and not (wish.isdecimal() and 0 < int(wish) < 65_536):
        raise Trouble(f"{variable}={wish} is no port number")
    for port in (int(wish),) if wish else (usual, 0):
        with socket.socket() as listener:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                listener.bind((HOST, port))
            except OSError:
                continue
            free: int = listener.getsockname()[1]
            return free
    raise Trouble(f"Port {wish} is taken; choose another one with {variable}")


def collector_settings(folder: Path, port: int) -> dict[str, str]:
    """This process's environment with the demo's settings as the only ones of Regulars."""
    own = {name: value for name, value in os.environ.items() if not name.startswith("REGULARS_")}
    return own | {
        "REGULARS_HOST": HOST,
        "REGULARS_PORT": str(port),
        "REGULARS_DATABASE_URL": f"sqlite:///{folder / 'regulars.db'}",
    }


def keep_site(folder: Path, shop_port: int, env: dict[str, str]) -> dict[str, str]:
    """The shop's site with its keys: added by the first run, told its new origins when the shop's port changes."""
    kept = folder / "site.json"
    origins = [f"http://{host}:{shop_port}" for host in (HOST, "localhost")]
    if not (folder / "regulars.db").exists() or not kept.exists():
        options = [f"--origin={origin}" for origin in origins]
        site = json.loads(regulars(["site", "add", SITE, *options, "--test", "--json"], folder, env))
    else:
        site = json.loads(kept.read_text())
        if site["origins"] != origins:
            regulars(["site", "set", SITE, f"origins={','.join(origins)}"], folder, env)
    kept.touch(mode=0o600)  # the secret key is in it
    kept.write_text(json.dumps(site | {"origins": origins}))
    return {name: site[name] for name in ("write_key", "secret_key")}


def regulars(arguments: list[str], folder: Path, env: dict[str, str]) -> str:
    """What the command prints; raises Trouble with its last words when it fails."""
    command = [sys.executable, "-m", "collector", *arguments]
    done = subprocess.run(command, check=False, cwd=ROOT, env=env, capture_output=True, text=True)
    if done.returncode:
        said = (done.stderr.strip() or done.stdout.strip() or "no reason given").splitlines()[-1]
        raise Trouble(f"`regulars {' '.join(arguments[:2])}`: {said} (removing {_shown(folder)} starts afresh)")
    return done.stdout


def start(name: str, module: list[str], env: dict[str, str], folder: Path, running: ExitStack) -> Child:
    """Start `python -m module …` in a session of its own, so that Ctrl-C reaches this process alone."""
    log = folder / f"{name}.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", *module],
            cwd=ROOT,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    child = Child(name, process, log)
    running.callback(child.stop)
    return child


def wait_until_up(url: str, children: list[Child]) -> None:
    """Return once `url` answers 2xx; raises Trouble when a child ends or time is up."""
    until = time.monotonic() + START_S
    while time.monotonic() < until:
        for child in children:
            child.check()
        try:
            with urllib.request.urlopen(url, timeout=2):
                return
        except OSError:
            time.sleep(0.05)
    raise Trouble(f"{url} did not answer within {START_S} s; see {_shown(children[-1].log)}")


def _shown(path: Path) -> str:
    """The path as it can be typed in the current folder."""
    return os.path.relpath(path) if path.is_relative_to(Path.cwd()) else str(path)


def _stop(*_: object) -> None:
    for number in STOP_SIGNALS:
        signal.signal(number, signal.SIG_IGN)  # once is enough: the children get their time to finish
    raise Stopped


if __name__ == "__main__":
    sys.exit(main())
