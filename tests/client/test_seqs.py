"""What a client asks its reads to see, by every name."""

from __future__ import annotations

from vecstore.client.seqs import SENT_MAX, Seqs


def test_a_collection_by_its_own_name_asks_for_its_own_writes() -> None:
    seqs = Seqs()
    assert seqs.seen("a") is None
    seqs.wrote("a", "a", 3)
    seqs.wrote("b", "b", 9)
    seqs.wrote("a", "a", 2)  # answers may cross
    assert (seqs.seen("a"), seqs.last("a")) == ({"a": 3}, 3)
    seqs.heard("c", "c")
    assert seqs.seen("c") is None


def test_an_alias_asks_for_all_of_them() -> None:
    """What it stands for now is not for the client to know: others may have switched it."""
    seqs = Seqs()
    seqs.wrote("blue", "blue", 7)
    assert seqs.seen("live") == {"blue": 7}
    seqs.wrote("live", "green", 1)
    assert (seqs.seen("live"), seqs.last("live")) == ({"green": 1, "blue": 7}, 1)
    seqs.heard("live", "blue")
    assert seqs.last("live") == 7
    for number in range(2 * SENT_MAX):
        seqs.wrote(f"c{number}", "", 1)
    assert next(iter(seqs.seen("live") or ())) == f"c{2 * SENT_MAX - 1}"
    assert len(seqs.seen("live") or ()) == SENT_MAX


def test_seqs_set_by_hand_are_of_the_name() -> None:
    seqs = Seqs()
    seqs.ask("live", 4)
    seqs.ask("live", 3)
    assert (seqs.asked("live"), seqs.last("live"), seqs.seen("live")) == (4, 4, None)


def test_a_collection_made_anew_begins_anew() -> None:
    seqs = Seqs()
    seqs.wrote("a", "a", 8)
    seqs.ask("a", 8)
    seqs.made("a", 0)
    assert (seqs.last("a"), seqs.seen("a")) == (0, {"a": 0})
    seqs.wrote("a", "a", 5)
    seqs.forget("a")
    assert seqs.seen("a") is None
