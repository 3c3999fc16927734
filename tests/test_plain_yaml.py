"""params.yaml means to the stages what it means to DVC, or it is refused."""

import random
from pathlib import Path

import pytest
from dvc.utils.serialize import parse_yaml

from taller.program import plain_yaml
from taller.program.errors import Problem

PATH = Path("params.yaml")
PIECES = [*"0123456789._eE+-:xob ,~'\"#&*|>[]{}\n", "nan", "inf", "true", "null", "yes", "\t", "!!"]
REFUSED = [
    "0x10", "0o17", "017", "0b11", "1_0", "1:30", "1:30:15", "yes", "No", "on", "OFF", ".nan",
    "-.inf", "1e999", ".5e1", "2001-01-01", "1,5", "-_1", "._1", "=", "<<", "28px",
]  # fmt: skip
SAME = {
    "1": 1, "-1": -1, "+1": 1, "0": 0, "1.": 1.0, "1.5": 1.5, ".5": 0.5, "1e3": 1e3, "1e-3": 1e-3,
    "2E+1": 20.0, ".5e-1": 0.05, "true": True, "False": False, "null": None, "~": None, "": None,
    "'0x10'": "0x10", "word": "word", "https://a.b/c:1/": "https://a.b/c:1/", "y": "y", "e5": "e5",
}  # fmt: skip


@pytest.mark.parametrize("written", SAME)
def test_what_both_read(written):
    found = plain_yaml.parse(f"a:\n  b: {written}\n", PATH)["a"]["b"]
    assert found == SAME[written] and type(found) is type(SAME[written])
    assert repr(parse_yaml(f"a:\n  b: {written}\n", "x")["a"]["b"]) == repr(found)


@pytest.mark.parametrize("written", REFUSED)
def test_what_readers_take_for_different_things(written):
    with pytest.raises(Problem, match=r"^params.yaml: line 3: a\.b: expected a decimal") as caught:
        plain_yaml.parse(f"# one\na:\n  b: {written}\n", PATH)
    assert str(caught.value).endswith(f"found {written}")


def test_whatever_is_written_means_to_dvc_the_same_or_is_refused():
    chance, accepted = random.Random(1), 0
    for _ in range(3000):
        value = "".join(chance.choice(PIECES) for _ in range(chance.randint(1, 6)))
        text = f"a: {value}\nb: 1\n"
        try:
            found = plain_yaml.parse(text, PATH)
        except Problem as problem:
            assert "\n" not in str(problem)
            continue
        accepted += 1
        assert repr(parse_yaml(text, "x")) == repr(found), text
    assert accepted > 300


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("a: 1\nb:\n  c: 1\n  d: 2\n  c: 3\n", r"line 5: b\.c: .*once, found it on lines 3 and 5"),
        ("a: {b: 1, b: 1}", r"line 1: a\.b: expected the key once"),
        ("a: &x 1", "line 1: a: expected values in full, found the anchor or alias x"),
        ("a: !!str 1", "expected values without tags, found tag:yaml.org,2002:str"),
        ("[" * 10_000, "expected at most 20 levels"),
        ("1: a", "expected a name as key, found 1"),
        ("? [a]\n: 1", r"expected a name as key, found \['a'\]"),
        ("a: 1\n---\nb: 1", "line 2: expected one document"),
        ("%YAML 1.1\n---\na: yes", "expected no directives"),
        ("a: 1\n\u2028b: 2", "line 2: expected plain text in UTF-8, found the character 0x2028"),
        ('a: "\\UFFFFFFFF"', "expected YAML, found: "),
        ("a: b\n\tc: d", "expected YAML, found: "),
        ("a: 1\n" * 2**18, "expected at most 1048576 letters"),
    ],
)
def test_what_else_is_refused(text, told):
    with pytest.raises(Problem, match=told) as caught:
        plain_yaml.parse(text, PATH)
    assert "\n" not in str(caught.value)
