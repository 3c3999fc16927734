"""Numbers as the reader sees them."""

import pytest

from taller.report import spanish


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (spanish.number(-0.5, 2), "−0,50"),
        (spanish.number(1.234, 1, sign=True), "+1,2"),
        (spanish.number(-1e-18, 2), "0,00"),
        (spanish.percent(0.97531), "97,53\u00a0%"),
        (spanish.count(5130), "5130"),
        (spanish.count(1_234_567), "1\u00a0234\u00a0567"),
        (spanish.p_value(0.0321), "p = 0,032"),
        (spanish.p_value(1e-9), "p < 0,001"),
        (spanish.certainty(0.99999), "> 99,9\u00a0%"),
        (spanish.certainty(0.9821), "98,2\u00a0%"),
        (spanish.listed(["a"]), "a"),
        (spanish.listed(["a", "b", "c"]), "a, b y c"),
        (spanish.listed(["uva", "higo"]), "uva e higo"),
        (spanish.listed(["agua", "hielo"]), "agua y hielo"),
    ],
)
def test_spanish(found, expected):
    assert found == expected
