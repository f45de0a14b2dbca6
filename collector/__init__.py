"""Regulars: recognise the visitors of a web site and record durably what they do."""

__version__ = "0.1.0"
