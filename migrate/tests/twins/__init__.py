"""Models that transformers 4 ships for both frameworks: ``tox -e twins``."""
