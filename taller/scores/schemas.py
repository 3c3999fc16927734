"""What the JSON files that `compare` reads must look like.

The stages write them; what is checked here is what a hand, or another version, may have changed.
"""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, with_config
from typing_extensions import TypedDict

from taller.data.origin import Network, Source
from taller.program.reading import STRICT


def unique(values: list[str]) -> list[str]:
    if len(set(values)) < len(values):
        raise ValueError("each name once")
    return values


Count = Annotated[int, Field(ge=0, le=10**18)]
Positive = Annotated[int, Field(ge=1, le=10**18)]
Fraction = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
AtLeast0 = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Name = Annotated[str, Field(min_length=1)]
Checksum = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


@with_config(STRICT)
class Origins(TypedDict):
    """How many writers, patients or products the images come from."""

    kept_together: bool
    train: Positive
    test: Positive
    shared: Count


@with_config(STRICT)
class Pictures(TypedDict):
    """What was found of pictures of one's own: sizes are width and height, in pixels."""

    test: Literal["held_out", "given"]
    origins: Literal["groups.csv", "folders"] | None
    copies: Count
    several_frames: Count
    smallest: tuple[Positive, Positive]
    largest: tuple[Positive, Positive]


@with_config(STRICT)
class Data(TypedDict):
    """``datos.json``: what `preprocess` counted."""

    dataset: Annotated[str, Field(pattern=r"^\w[\w. -]*$", max_length=50)]
    names: Annotated[list[Name], Field(min_length=2), AfterValidator(unique)]
    # Channels, height and width.
    shape: tuple[Literal[1, 3], Positive, Positive]
    train_images: Positive
    test_images: Positive
    folds: Annotated[int, Field(ge=2, le=50)]
    repeats: Annotated[int, Field(ge=1, le=20)]
    groups: Origins | None
    pictures: Pictures | None
    train_images_per_class: list[Count]
    test_images_per_class: list[Count]


class _Pretraining(TypedDict):
    requested: Source
    network: Network  # with auto perhaps another than the param names
    networks: Annotated[int, Field(ge=1, le=20)]
    sha256: Checksum


@with_config(STRICT)
class Downloaded(_Pretraining):
    source: Literal["imagenet"]
    weights_sha256: Checksum


@with_config(STRICT)
class Untrained(_Pretraining):
    source: Literal["none"]


@with_config(STRICT)
class Twin(TypedDict):
    """The letters of a digit's shape."""

    digit: Annotated[str, Field(pattern="^[0-9]$")]
    letters: Name
    correlation: Annotated[float, Field(ge=-1, le=1)]


@with_config(STRICT)
class Drawn(_Pretraining):
    source: Literal["glyphs"]
    images: Positive
    letters: Positive
    shapes: Positive
    alphabets: Annotated[list[Name], Field(min_length=1)]
    alike: Fraction
    twins: Annotated[list[Twin], Field(min_length=1)]
    glyph_accuracy: Annotated[list[Fraction], Field(min_length=1)]
    flops: Positive


# ``pretrain.json``: where the weights come from that fine-tuning starts from.
Pretraining = Annotated[Downloaded | Untrained | Drawn, Field(discriminator="source")]


@with_config(STRICT)
class Flops(TypedDict):
    answer: Positive
    training: Positive


Number = Annotated[float, Field(allow_inf_nan=False)]
Knob = bool | Annotated[int, Field(ge=-(10**18), le=10**18)] | Number | str | None


@with_config(STRICT)
class Training(TypedDict):
    optimizer: Literal["Adam", "AdamW"]
    learning_rate: Annotated[float, Field(gt=0, allow_inf_nan=False)]
    weight_decay: AtLeast0
    schedule: Literal["constant", "one_cycle"]
    batch_size: Positive
    epochs: Annotated[int, Field(ge=1, le=1_000_000)]
    trained: list[Name]
    frozen: list[Name]
    knobs: dict[str, Knob | list[Knob]]


@with_config(STRICT)
class Fit(TypedDict):
    """``fit.json``: how a network was trained, and at what cost."""

    trained_parameters: Positive
    parameters: Positive
    flops: Flops
    training: Training


@with_config(STRICT)
class Calibrated(TypedDict):
    mean: Fraction
    high: Fraction


@with_config(STRICT)
class Test(TypedDict):
    """``test_metrics.json``: of one model on the test images."""

    accuracy: Fraction
    precision: Fraction
    recall: Fraction
    f1: Fraction
    log_loss: AtLeast0
    ece: Fraction
    ece_calibrated: Calibrated
    top2: Fraction


@with_config(STRICT)
class PairCounts(TypedDict):
    """Of two models: on how many test images both are right, one, or none."""

    first: Name
    second: Name
    both: Count
    only_first: Count
    only_second: Count
    neither: Count


# ``test_agreement.json``.
Agreement = list[PairCounts]
