"""Edits that a hand may make in the files that `compare` reads, drawn from a seed."""

import json
import random
from collections.abc import Callable
from pathlib import Path

import numpy as np

ODD = [
    None, True, -1, 0, 0.5, 1.5, 10**30, "", "abc", "nan", [], {}, [[]], {"a": 1}, float("nan"),
    float("inf"), -float("inf"), "\u2028", "../..", "0x10", 1e300, 2**63,
]  # fmt: skip
CELLS = [
    "", "abc", "nan", "inf", "-1", "1e999", "0x10", "1_000", "2.5", "9" * 20, '"', "é",
    "1,5", " 1", "-0", "1e300",
]  # fmt: skip


def edit(path: Path, others: list[Path], chance: random.Random) -> str:
    """Change the file `path` in one way; says in which."""
    kinds = {".json": [of_json], ".csv": [of_csv], ".npz": [of_npz]}[path.suffix]
    change = chance.choice([*kinds * 5, truncate, empty, flip, swap, insert])
    return f"{path.name}: {change(path, others, chance)}"


def of_json(path: Path, _: list[Path], chance: random.Random) -> str:
    """Delete, rename, add or change one value somewhere in the tree."""
    tree = json.loads(path.read_text(encoding="utf-8"))
    holders = [tree]
    for part in holders:
        inner = part.values() if isinstance(part, dict) else part
        holders += [one for one in inner if isinstance(one, dict | list) and one]
    holder = chance.choice(holders)
    keys = list(holder) if isinstance(holder, dict) else list(range(len(holder)))
    key, value = chance.choice(keys), chance.choice(ODD)
    act = chance.choice(["delete", "change", "change", "nudge", "rename", "double", "root"])
    if act == "root" and chance.random() < 0.3:
        tree = value
    elif act == "delete":
        del holder[key]
    elif act == "rename" and isinstance(holder, dict):
        holder[f"{key}x"] = holder.pop(key)
    elif act == "double" and isinstance(holder, list):
        holder.append(holder[key])
    elif act == "nudge" and isinstance(holder[key], int | float):
        holder[key] = value = chance.choice([holder[key] * 2, -holder[key], holder[key] + 1])
    else:
        holder[key] = value
    path.write_text(json.dumps(tree), encoding="utf-8")
    return f"{act} {key!r} {value!r}"


def of_csv(path: Path, _: list[Path], chance: random.Random) -> str:
    """Drop, double, swap or change rows, columns or cells."""
    rows = [line.split(",") for line in path.read_text(encoding="utf-8").splitlines()]
    row, column = chance.randrange(len(rows)), chance.randrange(len(rows[0]))
    column = min(column, len(rows[row]) - 1)
    value = chance.choice(CELLS)
    act = chance.choice(
        ["cell", "cell", "cell", "drop row", "double row", "drop column", "rename", "short", "long",
         "header only", "exchange", "separator"]
    )  # fmt: skip
    if act == "cell":
        rows[row][column] = value
    elif act == "drop row":
        del rows[row]
    elif act == "double row":
        rows.insert(row, list(rows[row]))
    elif act == "drop column":
        rows = [[cell for place, cell in enumerate(one) if place != column] for one in rows]
    elif act == "rename":
        rows[0][column % len(rows[0])] += "x"
    elif act == "short":
        rows[row] = rows[row][:column]
    elif act == "long":
        rows[row].append(value)
    elif act == "header only":
        rows = rows[:1]
    elif act == "exchange":
        other = chance.randrange(len(rows))
        rows[row], rows[other] = rows[other], rows[row]
    between = ";" if act == "separator" else ","
    path.write_text("\n".join(between.join(one) for one in rows) + "\n", encoding="utf-8")
    return f"{act} {row}, {column} {value!r}"


def of_npz(path: Path, _: list[Path], chance: random.Random) -> str:
    """Drop, rename, recast, reshape or change an array."""
    with np.load(path) as found:
        held = dict(found)
    name = chance.choice(sorted(held))
    changes: dict[str, Callable] = {
        "drop": lambda array: None,
        "rename": lambda array: array,
        "shorter": lambda array: array[:-1],
        "none": lambda array: array[:0],
        "flat": lambda array: array.ravel(),
        "deeper": lambda array: array[None],
        "float": lambda array: array.astype(np.float64) if array.dtype.kind != "U" else array[:1],
        "bytes": lambda array: array.astype("S4"),
        "negative": lambda array: -array.astype(np.int64) - 1 if array.dtype.kind != "U" else None,
        "large": lambda array: array + 99 if array.dtype.kind != "U" else array[::-1],
        "big-endian": lambda array: array.astype(array.dtype.newbyteorder(">")),
        "pickled": lambda array: array.astype(object),
        "nan": lambda array: np.full(array.shape, np.nan),
        "transposed": lambda array: array.T,
    }
    act = chance.choice(sorted(changes))
    changed = changes[act](held.pop(name))
    if changed is not None:
        held[name + "x" * (act == "rename")] = changed
    np.savez(path, allow_pickle=True, **held)
    return f"{act} {name}"


def truncate(path: Path, _: list[Path], chance: random.Random) -> str:
    data = path.read_bytes()
    path.write_bytes(data[: chance.randrange(len(data))])
    return "truncated"


def empty(path: Path, _: list[Path], chance: random.Random) -> str:
    path.write_bytes(chance.choice([b"", b"\n", b"null", b"[]", b"{}", b"PK\x05\x06" + bytes(18)]))
    return "emptied"


def flip(path: Path, _: list[Path], chance: random.Random) -> str:
    data = bytearray(path.read_bytes())
    place = chance.randrange(len(data))
    data[place] ^= 1 << chance.randrange(8)
    path.write_bytes(data)
    return f"a bit at {place}"


def insert(path: Path, _: list[Path], chance: random.Random) -> str:
    data = path.read_bytes()
    place = chance.randrange(len(data))
    odd = chance.choice([b"\x00", b"\xff\xfe", b"\xef\xbb\xbf", b'"', b"[" * 5000, b"\r"])
    path.write_bytes(data[:place] + odd + data[place:])
    return f"{odd[:3]!r} at {place}"


def swap(path: Path, others: list[Path], chance: random.Random) -> str:
    """Put another of the files in its place."""
    other = chance.choice([one for one in others if one != path])
    path.write_bytes(other.read_bytes())
    return f"replaced by {other.name}"
