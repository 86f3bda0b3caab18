"""The token trie against a plain dictionary of prefixes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmrec.language.trie import TokenTrie


def sequences_of(trie: TokenTrie, node: int = TokenTrie.root) -> dict[tuple[int, ...], int]:
    """Every sequence below a node, with its number, by walking."""
    end = int(trie.ends(np.array([node]))[0])
    found = {(): end} if end >= 0 else {}
    for token, child in zip(*(part.tolist() for part in trie.children(node)), strict=True):
        found |= {(token, *rest): number for rest, number in sequences_of(trie, child).items()}
    return found


def first_numbers(sequences: list[list[int]]) -> dict[tuple[int, ...], int]:
    expected: dict[tuple[int, ...], int] = {}
    for number, sequence in enumerate(sequences):
        expected.setdefault(tuple(sequence), number)
    return expected


@given(st.lists(st.lists(st.integers(0, 3), min_size=1, max_size=5), max_size=40))
def test_it_holds_exactly_its_sequences(sequences: list[list[int]]) -> None:
    trie = TokenTrie(sequences)
    expected = first_numbers(sequences)
    assert sequences_of(trie) == expected
    assert len(trie) == len(expected)
    assert trie.depth == max(map(len, sequences), default=0)
    assert trie.nodes == 1 + len({key[: end + 1] for key in expected for end in range(len(key))})


@given(st.lists(st.lists(st.integers(0, 3), min_size=1, max_size=4), max_size=30))
def test_many_nodes_expand_as_each_does(sequences: list[list[int]]) -> None:
    trie = TokenTrie(sequences)
    nodes = np.arange(trie.nodes)[::-1]
    which, tokens, children = trie.expand(nodes)
    expected = [
        (position, token, child)
        for position, node in enumerate(nodes.tolist())
        for token, child in zip(*(part.tolist() for part in trie.children(node)), strict=True)
    ]
    assert list(zip(which.tolist(), tokens.tolist(), children.tolist(), strict=True)) == expected
    assert trie.inner(nodes).tolist() == [len(trie.children(node)[0]) > 0 for node in nodes.tolist()]


def test_an_array_is_the_same_as_lists() -> None:
    array = np.random.default_rng(0).integers(0, 5, (200, 3))
    assert sequences_of(TokenTrie(array)) == sequences_of(TokenTrie(array.tolist())) == first_numbers(array.tolist())


@pytest.mark.parametrize("nothing", [[], np.empty((0, 3), np.int64), np.empty((0, 0), np.int32)])
def test_none(nothing: list[list[int]]) -> None:
    trie = TokenTrie(nothing)
    assert len(trie) == 0 and trie.nodes == 1 and not trie.inner(np.array([0]))[0]
    assert [len(part) for part in trie.children(trie.root)] == [0, 0]
    assert [len(part) for part in trie.expand(np.array([0, 0]))] == [0, 0, 0]
    assert [len(part) for part in trie.expand(np.array([], np.int64))] == [0, 0, 0]


def test_one_and_a_prefix_of_another() -> None:
    assert sequences_of(TokenTrie([[7]])) == {(7,): 0}
    assert sequences_of(TokenTrie([[5, 6, 7], [5], [5, 6]])) == {(5, 6, 7): 0, (5,): 1, (5, 6): 2}


@pytest.mark.parametrize("wrong", [[[1], []], [[-1]], np.array([[1, -1]]), np.array([1, 2]), np.array([[0.5]])])
def test_what_is_no_sequence_is_refused(wrong: list[list[int]]) -> None:
    with pytest.raises(ValueError, match="token"):
        TokenTrie(wrong)
