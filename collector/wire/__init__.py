"""Bytes into domain values, one module per dialect. No HTTP, no storage, no decision about what an event means."""
