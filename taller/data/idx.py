"""The IDX format, in which MNIST comes: arrays of unsigned bytes behind a short header."""

import math
import struct
from pathlib import Path

import numpy as np

from taller.program import reading
from taller.program.errors import Problem

UINT8 = 0x08


def read(path: Path) -> np.ndarray:
    """Read an IDX file of unsigned bytes.

    Returns
    -------
    ndarray of uint8
        With the shape that the header tells; writable.

    Raises
    ------
    Problem
        When the file is missing, is not IDX, or is not as long as its header says.
    """
    try:
        data = reading.content(path)
    except FileNotFoundError:
        raise Problem(f"{path}: expected an IDX file, found nothing") from None
    magic = data[:4]
    if len(magic) < 4 or magic[:3] != bytes([0, 0, UINT8]):
        raise Problem(f"{path}: expected IDX of unsigned bytes (000008..), found {magic.hex()!r}")
    header = 4 + 4 * magic[3]
    if len(data) < header:
        raise Problem(f"{path}: expected a header of {header} bytes, found {len(data)}")
    shape = struct.unpack(f">{magic[3]}I", data[4:header])
    expected = header + math.prod(shape)
    if len(data) != expected:
        raise Problem(f"{path}: expected {expected} bytes for shape {shape}, found {len(data)}")
    return np.frombuffer(data, np.uint8, offset=header).reshape(shape).copy()


def encode(array: np.ndarray) -> bytes:
    """The bytes of the IDX file that holds `array`, which is of uint8."""
    if array.dtype != np.uint8:
        raise TypeError(f"expected uint8, found {array.dtype}")
    header = bytes([0, 0, UINT8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
    return header + array.tobytes()


def write(path: Path, array: np.ndarray) -> None:
    """Write what `read` reads."""
    path.write_bytes(encode(array))
