"""The catalogue: data sets in the IDX format, what is known of them, and their files' checksums.

torchvision's names and folders. Whoever gets or reads the files holds them against these.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from taller.program import files
from taller.program.errors import Problem

SHAPE = (28, 28)  # pixels
SIZES = {"train": 60_000, "t10k": 10_000}
NAMES = (
    "train-images-idx3-ubyte", "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte",
)  # fmt: skip
REMEDY = "move it away or delete it"


@dataclass(frozen=True)
class IdxSet:
    """A data set of four IDX files.

    Attributes
    ----------
    name : str
        torchvision's.
    classes : tuple of str
        Their names, in the order of the labels.
    licence : str
        Of whom the images are, and on what terms they may be used.
    sha256 : mapping of str to str
        Of the four files, unpacked; empty where nobody has published it.
    packed : mapping of str to str
        Of the four ``.gz`` files, where they are what is known.
    """

    name: str
    classes: tuple[str, ...]
    licence: str
    sha256: Mapping[str, str] = field(default_factory=dict)
    packed: Mapping[str, str] = field(default_factory=dict)

    def check(self, file: Path) -> None:
        """Raise a `Problem` that names `file`, unless it is the one of this set of that name.

        Of a set whose unpacked files nobody has published the checksums of, nothing is checked.
        """
        try:
            found = files.sha256(file)
        except OSError as error:
            raise Problem(f"{file}: expected a file, found: {error.strerror}; {REMEDY}") from None
        except Problem as problem:
            raise Problem(f"{problem}; {REMEDY}") from None
        if found != (expected := self.sha256.get(file.name, found)):
            raise Problem(
                f"{file}: expected SHA-256 {expected[:8]}..., found {found[:8]}...; {REMEDY}"
            )


def _four(*values: str) -> dict[str, str]:
    return dict(zip(NAMES, values, strict=True))


MNIST = IdxSet(
    name="MNIST",
    classes=tuple("0123456789"),
    licence="Y. LeCun, C. Cortes and C. Burges, out of NIST's collections; CC BY-SA 3.0",
    sha256=_four(
        "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
        "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
        "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
        "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
    ),
)
FASHION = IdxSet(
    name="FashionMNIST",
    classes=(
        "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag",
        "Ankle boot",
    ),
    licence="H. Xiao, K. Rasul and R. Vollgraf, Zalando SE; MIT",
    sha256=_four(
        "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
        "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
        "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
        "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
    ),
)  # fmt: skip
KMNIST = IdxSet(
    name="KMNIST",
    classes=("o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo"),
    licence="KMNIST Dataset, created by CODH, adapted from Kuzushiji Dataset, created by NIJL and "
    "others, doi:10.20676/00000341; CC BY-SA 4.0",
    packed=_four(
        "51467d22d8cc72929e2a028a0428f2086b092bb31cfb79c69cc0a90ce135fde4",
        "e38f9ebcd0f3ebcdec7fc8eabdcdaef93bb0df8ea12bee65224341c8183d8e17",
        "edd7a857845ad6bb1d0ba43fe7e794d164fe2dce499a1694695a792adfac43c5",
        "20bb9a0ef54c7db3efc55a92eef5582c109615df22683c380526788f98e42a1c",
    ),
)
SETS = {one.name: one for one in (MNIST, FASHION, KMNIST)}
