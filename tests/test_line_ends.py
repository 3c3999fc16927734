"""A clone has the same bytes, whatever git does with line ends on that machine."""

import shutil
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[1]


def git(folder: Path, *arguments: str) -> None:
    who = ("-c", "user.name=Test", "-c", "user.email=test@example.org")
    subprocess.run(["git", *who, *arguments], cwd=folder, check=True, capture_output=True)


def test_a_clone_with_other_line_ends_has_the_same_bytes(tmp_path):
    made = tmp_path / "made"
    texts = {"taller/a.py": b"x\ny\n", "resultados/a.csv": b"x\ny\n", "a.png": b"\x89PNG\r\n\0\n"}
    for name, content in texts.items():
        (made / name).parent.mkdir(parents=True, exist_ok=True)
        (made / name).write_bytes(content)
    shutil.copy(ROOT / ".gitattributes", made)
    git(made, "init", "--quiet")
    git(made, "add", "--all")
    git(made, "commit", "--quiet", "--message", "made")
    git(tmp_path, "clone", "--quiet", "--config", "core.autocrlf=true", "made", "cloned")
    assert {name: (tmp_path / "cloned" / name).read_bytes() for name in texts} == texts
