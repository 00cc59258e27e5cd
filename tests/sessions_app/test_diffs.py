"""Whole-file pairs become patches that say what changed, and say nothing else."""

from hypothesis import given, settings
from hypothesis import strategies as st

from sessions_app import diffs

LINES = st.lists(st.sampled_from(["a", "b", "c", "", "+x", "-y", "@@ -1 +1 @@"]), max_size=14)


def applied(before: str, patch: str) -> list[str]:
    """The file that a patch makes of another, by the patch's own line numbers."""
    old = before.split("\n")[:-1] if before.endswith("\n") else before.split("\n") if before else []
    out: list[str] = []
    position = 0
    left = [0, 0]
    for line in patch.split("\n")[2:]:
        if left == [0, 0]:
            if not line:
                continue
            start, counts = line.split()[1][1:], line.split()[2][1:]
            old_start, _, old_count = start.partition(",")
            _, _, new_count = counts.partition(",")
            left = [int(old_count or 1), int(new_count or 1)]
            begin = int(old_start) - (1 if left[0] else 0)
            out += old[position:begin]
            position = begin
            continue
        sign, text = line[:1], line[1:]
        if sign in ("-", " "):
            assert old[position] == text
            position += 1
            left[0] -= 1
        if sign in ("+", " "):
            out.append(text)
            left[1] -= 1
    return out + old[position:]


@settings(max_examples=300, deadline=None)
@given(before=LINES, after=LINES)
def test_a_patch_turns_the_one_file_into_the_other(before: list[str], after: list[str]) -> None:
    old, new = ("".join(f"{line}\n" for line in side) for side in (before, after))
    patch = diffs.unified("f", old, new)
    if patch:
        assert applied(old, patch) == after
    else:
        assert old == new


def test_very_different_files_are_replaced_whole_and_fast() -> None:
    old = "".join(f"{n}\n" for n in range(20_000))
    new = "".join(f"{n + 0.5}\n" for n in range(20_000))
    patch = diffs.unified("f", old, new)
    assert applied(old, patch) == new.split("\n")[:-1]


def test_a_small_change_in_a_long_file_is_a_small_patch() -> None:
    lines = [f"{n}\n" for n in range(50_000)]
    patch = diffs.unified("f", "".join(lines), "".join([*lines[:40_000], "new\n", *lines[40_000:]]))
    assert len(patch.split("\n")) < 15 and "@@ -39998,6 +39998,7 @@" in patch


def test_hostile_counts_are_bounded() -> None:
    (diff,) = diffs.parse(
        [{"file": "f", "patch": "", "additions": 10**30, "deletions": float("nan")}, 7, {"file": 3}]
    )
    assert (diff.additions, diff.deletions) == (diffs.MOST, 0)
