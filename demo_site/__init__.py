"""Sorrel & Tin, the demo shop: it uses Regulars as any customer would and knows the collector only over HTTP."""
