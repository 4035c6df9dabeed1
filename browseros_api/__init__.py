"""Resilient HTTP for everyone who uses requests."""
