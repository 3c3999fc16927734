"""params.yaml, as no person should write it: one line that names the key, or the line."""

import re

import bad_input
from bad_input import PARAMS, Edit, directory, holding, missing, pipe, text, unreadable

NESTED = "".join(f"{'  ' * level}a:\n" for level in range(100)).encode()
BOMB = "a: &a [1, 1]\n" + "".join(
    f"{b}: &{b} [*{a}, *{a}]\n" for a, b in zip("abcde", "bcdef", strict=True)
)

# What YAML's readers take for different things, or for no number.
DOUBTFUL = [
    "0x10", "0o17", "017", "0b11", "1_0", "1:30", "yes", ".nan", ".inf", "1e999", "2001-01-01",
    "9" * 5000,
]  # fmt: skip


def timeout(value: str) -> Edit:
    return text("^  timeout: .*", f"  timeout: {value}")


# The stage that starts fastest reads most of them.
CASES = {
    ("download", PARAMS): {
        "params missing": (missing, "params.yaml: expected in the current folder"),
        "params a directory": (directory, "params.yaml: .*a directory"),
        "params a pipe": (pipe, "params.yaml: .*a named pipe"),
        "params unreadable": (unreadable, "params.yaml"),
        "params empty": (holding(b""), "params.yaml: expected sections, found None"),
        "params a list": (holding(b"- 1\n"), r"found \[1\]"),
        "params a word": (holding(b"word\n"), "found 'word'"),
        "params in Latin-1": (holding("# año\nseed: 1".encode("latin-1")), "UTF-8"),
        "params with a BOM": (text(r"\A", "\ufeff"), "line 1: .*0xfeff"),
        "params with a tab": (text("^  timeout", "\ttimeout"), r"line \d+: .*'\\t'"),
        "params unfinished": (text("^seed: ", "seed: ["), r"line \d+: expected YAML"),
        "params two documents": (text("^seed", "a: 1\n---\nseed"), "one document"),
        "params of a NUL": (holding(b"seed: 1\0"), "expected YAML"),
        "data set of no catalogue": (
            text("^dataset.*", "dataset: nada"),
            r"data/nada/raw: expected a folder of pictures .*\(MNIST, FashionMNIST, KMNIST\)",
        ),
        "params 100 levels deep": (holding(NESTED), "at most 20 levels"),
        "params 10,000 levels deep": (holding(b"[" * 10_000), "at most 20 levels"),
        "params huge": (holding(b"a: 1\n" * 2**18), "at most 1048576 letters"),
        "params an alias bomb": (holding(BOMB.encode()), "anchor or alias"),
        "params a tag": (
            text("^seed: .*", "seed: !!python/object/apply:os.getcwd []"),
            "seed: expected values without tags",
        ),
        "params a directive": (text(r"\A", "%YAML 1.1\n---\n"), "no directives"),
        "params a key that is a number": (text("^seed", "1"), "a name as key, found 1"),
        "params a key that is yes": (text("^seed", "yes"), "found yes"),
        "params a merge": (text("^seed", "<<: {a: 1}\nseed"), "found <<"),
        "params a double key": (
            text("^seed", "seed: 1\nseed"),
            r"seed: expected the key once, found it on lines (\d+) and \d+",
        ),
        "params a double key inside": (
            text("^  timeout", "  timeout: 5\n  timeout"),
            r"download\.timeout: expected the key once",
        ),
        **{
            f"timeout {value[:20]}": (
                timeout(value),
                rf"line \d+: .*timeout: .*found {re.escape(value[:20])}",
            )
            for value in DOUBTFUL
        },
        "timeout of a fraction": (timeout("1.5"), "download.timeout"),
        "timeout in quotes": (timeout("'10'"), "found '10'"),
        "timeout true": (timeout("true"), "found True"),
        "timeout out of range": (timeout("601"), "found 601"),
        "timeout of 40 digits": (timeout("9" * 40), "download.timeout"),
    },
    ("compare", PARAMS): {
        "section empty": (text("^  rope.*", ""), "compare: .*found None"),
        "section missing": (text("^compare:\n  rope.*", ""), "compare: expected a value"),
        "section a list": (text("^  rope.*", "  - 1"), r"compare: .*found \[1\]"),
        "key unknown": (text("^  rope", "  ropes: 1\n  rope"), "compare.ropes: unknown key"),
    },
    ("preprocess", PARAMS): {
        "key missing": (text("^  folds.*", ""), "preprocess.folds"),
        "more folds than images": (text("^  folds.*", "  folds: 50"), "preprocess.folds"),
        "subset too large": (text("^  subset.*", "  subset: 60001"), "preprocess.subset"),
        "two channels": (text("^  channels.*", "  channels: 2"), "preprocess.channels.*found 2"),
        "all held out": (text("^  test_share.*", "  test_share: 1.0"), "preprocess.test_share"),
        "data set that leaves the folder": (text("^dataset.*", "dataset: ../x"), "dataset: "),
        "data set in the pipeline's folder": (text("^dataset.*", "dataset: processed"), "dataset"),
    },
    ("finetune", PARAMS): {
        "trainable of lists": (
            text("^  trainable:\n  - fc", "  trainable:\n  - [fc]"),
            "finetune.trainable",
        ),
    },
    ("tools.check_params", PARAMS): {
        "checked a late section": (text("^  rope.*", "  rope: 2"), "compare.rope"),
        "checked an unknown section": (text("^seed", "sed: 1\nseed"), "sed: expected one of"),
    },
}


@bad_input.each(CASES)
def test_it_is_told_in_one_line_and_nothing_is_written(project, program, name, edit, told):
    bad_input.check(project.folder, program, name, edit, told)


def test_a_network_that_is_none_is_told(project):
    ended = bad_input.run(project.folder, "kfold_train nobody")
    assert (ended.returncode, ended.stderr) == (
        1, "kfold_train: expected a network, taller/models/NAME.py with Knobs, found nobody\n"
    )  # fmt: skip
