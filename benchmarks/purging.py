"""A collector that purges two seconds after its start instead of three minutes. For benchmarks only.

`python -m benchmarks.purging serve`. Everything else is the collector's own.
"""

from __future__ import annotations

import runpy

from collector.recorder.retention import INTERVAL_S, Retention

if __name__ == "__main__":
    Retention.__init__.__defaults__ = (2.0, INTERVAL_S)
    runpy.run_module("collector", run_name="__main__")
