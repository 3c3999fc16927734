"""What `download` can get: data sets and pretrained weights, their addresses and checksums."""

from collections.abc import Mapping
from dataclasses import dataclass

from taller.common.terminal import UserError, printable

TIMEOUT = 10  # seconds without an answer, after which the next source is tried


@dataclass(frozen=True)
class Item:
    """Files that others made.

    Attributes
    ----------
    name : str
        The files go to ``data/NAME/raw``.
    licence : str
        Whose they are, and on what terms they may be used.
    sha256 : mapping of str to str
        Of each file, as it is stored.
    mirrors : tuple of str
        Addresses of folders that serve the files, in the order in which they are tried.
    compressed : bool
        Whether the mirrors, unlike the folder, have them as ``.gz``.
    """

    name: str
    licence: str
    sha256: Mapping[str, str]
    mirrors: tuple[str, ...] = ()
    compressed: bool = False


def item(name: str) -> Item:
    """The item called `name`; a `UserError` lists all where there is none."""
    if name not in ITEMS:
        raise UserError(f"{printable(name)}: expected one of {', '.join(ITEMS)}")
    return ITEMS[name]


def _idx(*checksums: str, ending: str = "") -> dict[str, str]:
    kinds = ("train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1")
    return {f"{kind}-ubyte{ending}": one for kind, one in zip(kinds, checksums, strict=True)}


MNIST = Item(
    name="MNIST",
    licence="Y. LeCun, C. Cortes and C. Burges, out of NIST's collections; CC BY-SA 3.0",
    sha256=_idx(
        "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
        "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
        "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
        "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
    ),
    mirrors=(
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
        "http://yann.lecun.com/exdb/mnist/",
    ),
    compressed=True,
)
FASHION_MNIST = Item(
    name="FashionMNIST",
    licence="H. Xiao, K. Rasul and R. Vollgraf, Zalando SE; MIT",
    sha256=_idx(
        "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
        "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
        "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
        "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
    ),
    mirrors=("http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",),
    compressed=True,
)
# Stored as .gz: nobody has published the checksums of the files in them.
KMNIST = Item(
    name="KMNIST",
    licence="KMNIST Dataset, created by CODH, adapted from Kuzushiji Dataset, created by NIJL and "
    "others, doi:10.20676/00000341; CC BY-SA 4.0",
    sha256=_idx(
        "51467d22d8cc72929e2a028a0428f2086b092bb31cfb79c69cc0a90ce135fde4",
        "e38f9ebcd0f3ebcdec7fc8eabdcdaef93bb0df8ea12bee65224341c8183d8e17",
        "edd7a857845ad6bb1d0ba43fe7e794d164fe2dce499a1694695a792adfac43c5",
        "20bb9a0ef54c7db3efc55a92eef5582c109615df22683c380526788f98e42a1c",
        ending=".gz",
    ),
    mirrors=("http://codh.rois.ac.jp/kmnist/dataset/kmnist/",),
)
RESNET18 = Item(
    name="resnet18",
    licence="torchvision's weights of ImageNet; BSD 3-Clause",
    sha256={
        "resnet18-f37072fd.pth": "f37072fd47e89c5e827621c5baffa7500819f7896bbacec160b1a16c560e07ec"
    },
    mirrors=("https://download.pytorch.org/models/",),
)
EFFICIENTNET_LITE0 = Item(
    name="efficientnet_lite0",
    licence="weights of ImageNet, M. Tan and Q. Le, Google, ported by R. Wightman; Apache 2.0",
    sha256={
        "efficientnet-lite0-57934424.pth": (
            "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
        )
    },
)
ITEMS = {one.name: one for one in (MNIST, FASHION_MNIST, KMNIST, RESNET18, EFFICIENTNET_LITE0)}
