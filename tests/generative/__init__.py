"""Hypothesis draws worlds of random events; every engine makes the same tiles of them."""
