"""The voice: command line, console and page. Nothing imports it."""
