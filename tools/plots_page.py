"""Make `dvc plots` draw without internet.

From `.dvc/plots/page.html`, where DVC would put links to a CDN, this makes
`.dvc/plots/page.offline.html`, with the drawing library inside, and points this clone's
`.dvc/config.local` to it. Run it again after editing the page: `make setup` does.
"""

import subprocess
import sys
from pathlib import Path

import vl_convert


def plots_page(dvc_dir: Path = Path(".dvc")) -> Path:
    page = (dvc_dir / "plots/page.html").read_text(encoding="utf-8")
    # In a function, or the bundle's thousands of short top-level names would be the page's too.
    script = f'<script>(() => {{ "use strict";\n{vl_convert.javascript_bundle()}\n}})()</script>'
    offline = dvc_dir / "plots/page.offline.html"
    offline.write_text(page.replace("{scripts}", script), encoding="utf-8")
    # Not in the committed config: DVC fails on a page that is not there, so a fresh clone keeps
    # the page with CDN links until this has run.
    command = ["config", "--local", "plots.html_template", "plots/page.offline.html"]
    subprocess.run([sys.executable, "-m", "dvc", *command], cwd=dvc_dir.parent, check=True)
    return offline


if __name__ == "__main__":
    print(plots_page())
