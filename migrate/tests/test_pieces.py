"""Links of exact pieces carry arrays there and back, and are written to a file and read again."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from samestep.migrate import map as maps
from samestep.migrate import pieces
from samestep.migrate.pieces import Concatenate, Link, Permute, Reshape, Stack, Sum, Take

A = np.arange(6.0).reshape(2, 3)
B = A + 10
PIECES = (
    Permute((2, 0, 1)), Reshape((2, 3)), Take(1, (2, 0)), Concatenate(0), Stack(), Sum(),
)  # fmt: skip


@pytest.mark.parametrize("piece", PIECES, ids=str)
def test_a_piece_is_read_as_it_was_written(piece: pieces.Piece) -> None:
    assert pieces.read(str(piece)) == piece


@pytest.mark.parametrize(
    "text", ["", "flip 0", "permute 0 2", "take 1", "cat", "stack 1", "reshape", "permute a b"]
)
def test_another_text_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="a piece must be one of permute AXIS"):
        pieces.read(text)


@given(axes=st.permutations(range(3)), rows=st.permutations(range(4)), seed=st.integers(0, 99))
def test_what_is_carried_comes_back(axes: list[int], rows: list[int], seed: int) -> None:
    """A permutation and a choice of rows, for any order of both."""
    array = np.random.default_rng(seed).standard_normal((4, 2, 3))
    link = Link("v", ("p",), (Take(0, tuple(rows)), Permute(tuple(axes))))
    into = {"p": np.zeros_like(array)}
    link.back(link.carry({"p": array}), into)
    assert np.array_equal(into["p"], array)


def test_two_parameters_come_back_each_to_its_place() -> None:
    link = Link("v", ("a", "b"), (Permute((1, 0)), Concatenate(1), Reshape((2, 6))))
    into = {"a": np.zeros_like(A), "b": np.zeros_like(B)}
    link.back(link.carry({"a": A, "b": B}), into)
    assert np.array_equal(into["a"], A)
    assert np.array_equal(into["b"], B)


def test_a_part_comes_back_and_leaves_the_rest_alone() -> None:
    into = {"a": np.full((4, 2), 7.0)}
    Link("v", ("a",), (Take(0, (1, 2)),)).back(np.zeros((2, 2)), into)
    assert into["a"].tolist() == [[7, 7], [0, 0], [0, 0], [7, 7]]


def test_a_sum_has_the_gradient_of_a_part_and_cannot_go_back() -> None:
    link = Link("v", ("a", "b"), (Sum(),))
    assert np.array_equal(link.carry({"a": A, "b": B}), A + B)
    gradient = link.carry_gradient({"b": B})
    assert gradient is not None
    assert np.array_equal(gradient, B)
    assert link.carry_gradient({}) is None
    with pytest.raises(ValueError, match="is a sum, which cannot be undone"):
        link.back(A, {"a": A, "b": B})


def test_pieces_that_do_not_fit_are_refused() -> None:
    with pytest.raises(
        ValueError, match=r"the pieces of v = a, reshape 5 must fit shapes \(2, 3\)"
    ):
        Link("v", ("a",), (Reshape((5,)),)).carry({"a": A})
    with pytest.raises(ValueError, match="must join its 2 parameters"):
        Link("v", ("a", "b")).carry({"a": A, "b": B})
    with pytest.raises(ValueError, match=r"v must have shape \(2, 3\) to go back"):
        Link("v", ("a",)).back(np.zeros(3), {"a": A})


def test_a_map_is_read_as_it_was_written(tmp_path: Path) -> None:
    links = [
        Link("net/kernel", ("fc.weight",), (Permute((1, 0)), Take(0, (1, 0))), "values"),
        Link('odd "name"', ("a", "b"), (Sum(),), "kind"),
    ]
    again = maps.load(maps.write(tmp_path / "map.toml", links))
    assert [(link.variable, link.parameters, link.pieces) for link in again.values()] == [
        (link.variable, link.parameters, link.pieces) for link in links
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[[variable]]\nkeras = 'a'\n", "variable 1 must have keras, pytorch"),
        ("[[variable]]\nkeras = 'a'\npytorch = ['b']\npieces = ['twist']\n", "a piece must be"),
        ("[[variable", "must be a map in TOML"),
    ],
)
def test_a_wrong_map_is_refused(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "map.toml").write_text(text)
    with pytest.raises(ValueError, match=message):
        maps.load(tmp_path / "map.toml")
