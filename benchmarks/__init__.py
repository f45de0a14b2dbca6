"""What is measured, how, and against what: `python -m benchmarks [--quick] [--only NAME]`.

A figure counts only as a ratio inside one run, because machines are noisy: base and ours alternate, one ratio for each
pair, then the median with its spread. Servers run on one core, the load generator on another, over loopback only.
"""
