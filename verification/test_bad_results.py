"""The files that `compare` reads, edited by hand."""

import bad_input
from bad_input import (
    RESULTS,
    arrays,
    directory,
    drop,
    holding,
    like,
    missing,
    pipe,
    put,
    text,
    tree,
)

CASES = {
    ("compare", RESULTS + "datos.json"): {
        "counts missing": (missing, "dvc repro compare"),
        "counts a directory": (directory, "a directory"),
        "counts of text": (holding(b"{"), "expected JSON"),
        "counts 100,000 deep": (holding(b"[" * 100_000), "expected JSON"),
        "counts of another sum": (tree(put(("test_images",), 9999)), "test_images"),
        "data set that leaves the folder": (tree(put(("dataset",), "../../x")), "dataset"),
    },
    ("compare", RESULTS + "pretrain.json"): {
        "pretraining from nowhere": (tree(put(("source",), "moon")), "source.*found 'moon'"),
    },
    ("compare", RESULTS + "test_agreement.json"): {
        "agreement that does not add up": (tree(put((0, "both"), 1)), "simple_nn and cnn"),
        "agreement without a pair": (tree(drop(0)), "expected the pair"),
    },
    ("compare", RESULTS + "cnn/fit.json"): {
        "fit without flops": (tree(drop("flops", "answer")), "flops.answer"),
        "fit of NaN": (tree(put(("training", "learning_rate"), float("nan"))), "learning_rate"),
    },
    ("compare", RESULTS + "cnn/scores.csv"): {
        "scores of another model": (like("../simple_nn/scores.csv"), "of cnn"),
        "scores without a fold": (text(r"^cnn,1,2,f1.*\n", ""), "metric f1 once, found 0 times"),
        "scores twice": (text(r"^(cnn,1,2,f1.*\n)", r"\1\1"), "metric f1 once, found 2 times"),
        "scores of a word": (text("(accuracy),.*", r"\1,good"), "line 2: value: .*'good'"),
        "scores above 1": (text("(accuracy),.*", r"\1,1.5"), "accuracy: .*1.5"),
    },
    ("compare", RESULTS + "cnn/history.csv"): {
        "history of another column": (text("val_loss", "loss"), "expected the columns"),
        "history without numbers": (text(",[0-9.]+$", ","), "line 2: val_acc"),
        "history a header": (text(r"\n[\s\S]*", "\n"), "rows below the header"),
    },
    ("compare", RESULTS + "cnn/test_confusion.csv"): {
        "confusion of another sum": (text(r"\A\d+", "100000"), "images of class 0"),
        "confusion of nine": (text(r"\A.*\n", ""), "10 x 10 counts, found 9 rows"),
    },
    ("compare", RESULTS + "cnn/test_metrics.json"): {
        "accuracy that is not the trace": (
            tree(put(("accuracy",), 0.99)),
            "accuracy of test_confusion",
        ),
    },
    ("compare", RESULTS + "cnn/test_per_class.csv"): {
        "classes that are not the trace": (text("^3,[0-9.]+", "3,0.99999"), "precision of class 3"),
    },
    ("compare", RESULTS + "cnn/test_calibration.csv"): {
        "calibration of more images": (text(r"(\.\d+),(\d+),", r"\1,9\2,"), "as many images"),
    },
    ("compare", RESULTS + "cnn/test_errors.npz"): {
        "errors that are none": (
            arrays(predicted=lambda found: found * 0),
            "errors that test_confusion.csv counts",
        ),
        "errors of another size": (arrays(images=lambda found: found[:, :, 1:]), "images of shape"),
    },
    ("compare", RESULTS + "muestra_datos.npz"): {
        "sample of no image": (
            arrays(**dict.fromkeys(("images", "labels", "groups"), lambda found: found[:0])),
            "found shape",
        ),
    },
    ("compare", RESULTS + "muestra_letras.npz"): {
        "letters of another file": (like("datos.json"), "another file"),
    },
    ("compare", RESULTS + "ajuste.csv"): {
        "grid without a winner": (text("sí,sí$", "sí,no"), "modelo SimpleNN once"),
    },
    ("compare", RESULTS + "estudio.csv"): {
        "study of another source": (text(",none,", ",moon,"), "fuente: .*'moon'"),
    },
}


def test_the_winners_file_is_a_file(project):
    won = project.json("resultados/metrics.json")["comparison"]["winner"]
    bad_input.check(project.folder, "compare", f"modelos/{won}.pth", pipe, "found a named pipe")


@bad_input.each(CASES)
def test_it_is_told_in_one_line_and_nothing_is_written(project, program, name, edit, told):
    bad_input.check(project.folder, program, name, edit, told)
