"""Pasted text as a syntax tree: prompts, odd spaces and typographic signs, and clear errors."""

import ast
import re
import textwrap
import warnings

EXAMPLE = "a call must read like keras:Adam(learning_rate=0.001)"
MOST_CHARACTERS = 20_000
PROMPT = re.compile(r"^\s*(>>>|\.\.\.|In \[\d+\]:)[ ]?", re.MULTILINE)
INVISIBLE = dict.fromkeys((0x200B, 0x200C, 0x200D, 0x2060, 0xFEFF, 0xAD))  # deleted
SPACES = dict.fromkeys((0xA0, 0x2007, 0x2009, 0x202F, 0x3000), " ")
TYPOGRAPHIC = str.maketrans({  # signs that web pages have in place of Python's
    "\u2212": "-", "\u2010": "-", "\u2011": "-", "\u2012": "-", "\u2013": "-", "\u2014": "-",
    "\uff0d": "-", "\u201c": '"', "\u201d": '"', "\u201e": '"', "\u2033": '"', "\u00ab": '"',
    "\u00bb": '"', "\u2018": "'", "\u2019": "'", "\u2032": "'", "\u00b4": "'", "\uff08": "(",
    "\uff09": ")", "\uff0c": ",", "\uff1d": "=", "\uff0e": ".", "\uff1a": ":", "\u00d7": "*",
})  # fmt: skip


def cleaned(text: object) -> str:
    """The text without what only shows where it was copied: prompts, fences, invisible signs.

    ValueError if it is no text, empty, or too long for a call.
    """
    if not isinstance(text, str):
        raise ValueError(f"{EXAMPLE}, as text, got {text!r}")
    if len(text) > MOST_CHARACTERS:
        raise ValueError(
            f"{EXAMPLE}; got {len(text)} characters, the most are {MOST_CHARACTERS}: paste the "
            "lines of the optimizer alone"
        )
    plain = text.translate(INVISIBLE).translate(SPACES)
    plain = PROMPT.sub("", plain)
    plain = re.sub(r"^\s*```\w*\s*$", "", plain, flags=re.MULTILINE)
    plain = textwrap.dedent(plain).strip().strip("`").strip().rstrip(";, \n")
    if not plain:
        raise ValueError(f"{EXAMPLE}, got an empty text")
    return plain


def parsed(text: str, prefix: str = "") -> ast.Module:
    """The syntax tree of some statements, or of arguments such as ``optimizer="adam", loss="mse"``.

    ``prefix`` is what stood before the text. ValueError says what is wrong with it, and where.
    """
    try:
        return _tree(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        arguments = f"compile({text})"
        if re.match(r"optimizer\s*=", text) and _is_python(arguments):
            return _tree(arguments)
        raise _unreadable(text, prefix, error) from error


def parsed_expression(text: str) -> ast.expr:
    """The syntax tree of one expression; ValueError if the text is none."""
    match parsed(text).body:
        case [ast.Expr(value=value)]:
            return value
    raise ValueError(f"there must be one expression, got {text!r}")


def _tree(text: str) -> ast.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Python warns of doubtful literals; the reader judges them
        return ast.parse(text)


def _is_python(text: str) -> bool:
    try:
        _tree(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return True


def _unreadable(text: str, prefix: str, error: BaseException) -> ValueError:
    """The error for a text that is no Python."""
    replaced = text.translate(TYPOGRAPHIC)
    if replaced != text:
        sign = next(a for a, b in zip(text, replaced, strict=True) if a != b)
        advice = f"; did you mean {_short(prefix + replaced)}?" if _is_python(replaced) else ""
        return ValueError(
            f"{sign!r} (U+{ord(sign):04X}) is a sign of typesetting, and Python has "
            f"{sign.translate(TYPOGRAPHIC)!r}{advice}"
        )
    if not isinstance(error, SyntaxError):
        return ValueError(f"{EXAMPLE}, got a text that Python cannot read: {error}")
    place = f" at {_at(text, error)!r}" if _at(text, error) else ""
    return ValueError(f"{EXAMPLE}; {error.msg}{place} in {_short(prefix + text)!r}")


def _at(text: str, error: SyntaxError) -> str:
    """The rest of the line from the place of a syntax error, at most 20 characters."""
    lines = text.splitlines()
    line = error.lineno or 0
    if not 0 < line <= len(lines):
        return ""
    return lines[line - 1][(error.offset or 1) - 1 :][:20]


def _short(text: str) -> str:
    return text if len(text) <= 200 else f"{text[:200]}..."
