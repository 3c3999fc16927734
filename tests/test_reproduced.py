"""What is said of a run from nothing: the same lock, or where it begins to differ."""

import hashlib
import re

import pytest
import yaml

from taller.common import numerics
from taller.common.terminal import UserError
from tools import reproduced

STAGES = {
    "one": {"cmd": "a", "outs": [{"path": "x", "md5": "1"}, {"path": "y", "md5": "2"}]},
    "two": {"cmd": "b", "deps": [{"path": "x", "md5": "1"}], "outs": [{"path": "z", "md5": "3"}]},
}
LOCK = yaml.safe_dump({"schema": "2.0", "stages": STAGES})


def test_the_first_stage_and_output_that_differ_are_named():
    other = LOCK.replace("md5: '2'", "md5: '9'").replace("md5: '3'", "md5: '8'")
    where = rf"on {re.escape(numerics.processor())}: it begins to differ at one \(y\)"
    with pytest.raises(UserError, match=where):
        reproduced.compare_locks(other, LOCK, "")
    assert reproduced.first_difference(LOCK.replace("cmd: b", "cmd: c"), LOCK) == (
        "two (what it depends on)"
    )
    less = yaml.safe_dump({"stages": {"one": STAGES["one"]}})
    assert reproduced.first_difference(less, LOCK) == "two (z)"
    assert reproduced.first_difference(LOCK, less) == "two (z)"


def test_the_same_lock_gives_the_line_for_this_processor_until_it_is_there():
    text = reproduced.compare_locks(LOCK, LOCK, "")
    line = text.splitlines()[-1]
    digest = hashlib.sha256(LOCK.encode()).hexdigest()[:16]
    assert line.startswith(f"| {numerics.processor()} |") and line.endswith(f"| `{digest}` |")
    assert reproduced.compare_locks(LOCK, LOCK, f"...\n{line}\n").endswith(
        "which REPRODUCED.md has"
    )
