"""The HTTP edge: from requests to values and back. Every URL is in `routes`; nothing here builds SQL."""
