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
        (spanish.certainty(0.0004), "< 0,1\u00a0%"),
        (spanish.points(0.01126), "1,13"),
        (spanish.points(-0.01126, sign=True), "−1,13"),
        (spanish.points(1e-9, sign=True), "+0,00"),
        (spanish.scientific(66_021_888), "6,6\u00a0×\u00a010⁷"),
        (spanish.scientific(1_250_000_000_000), "1,2\u00a0×\u00a010¹²"),
        (spanish.plain(0.001), "0,001"),
        (spanish.plain(1e-05), "0,00001"),
        (spanish.plain(28), "28"),
        (spanish.plain([128, 64]), "128, 64"),
        (spanish.plain("sum_rgb"), "sum_rgb"),
        (spanish.times(0.047), "el 4,7\u00a0% de"),
        (spanish.times(5.13), "5,1 veces"),
        (spanish.times(302.4), "302 veces"),
        (spanish.times(12_345.0), "12\u00a0345 veces"),
        (spanish.spelled(8), "ocho"),
        (spanish.spelled(11), "11"),
        (spanish.listed(["a"]), "a"),
        (spanish.listed(["a", "b", "c"]), "a, b y c"),
        (spanish.listed(["uva", "higo"]), "uva e higo"),
        (spanish.listed(["agua", "hielo"]), "agua y hielo"),
    ],
)
def test_spanish(found, expected):
    assert found == expected
