"""`edgesr weights`: official checkpoints."""

from typing import Annotated, Any

import typer
from rich.table import Table

from edgesr.cli.options import Json
from edgesr.cli.render import Output, table

app = typer.Typer(help="Official checkpoints: where they are published, and fetching them.", no_args_is_help=True)


@app.command("list")
def list_weights(as_json: Json = False) -> None:
    """List the official checkpoints and which of them are in the cache."""
    from edgesr.models import families
    from edgesr.weights import cache_folder, cached_path, official_weights

    rows: list[dict[str, Any]] = [
        {
            "file": w.file,
            "model": w.variant,
            "scale": w.scale,
            "url": w.url,
            "sha256": w.sha256,
            "cached": str(cached_path(w.file) or "") or None,
        }
        for w in official_weights()
    ]
    columns = ["file", "model", "scale", "sha256", "in the cache", "published at"]
    cells = [
        (
            r["file"],
            r["model"],
            f"×{r['scale']}",
            f"{r['sha256'][:12]}…" if r["sha256"] else "not known",
            "yes" if r["cached"] else "–",
            r["url"].removeprefix("https://").rpartition("/")[0],
        )
        for r in rows
    ]
    lines: list[str | Table] = [
        table("Official weights", columns, cells),
        *(f"{family.title}: {family.weights_page or 'no page known'}" for family in families().values()),
        f"Cache: {cache_folder()}",
        "Fetch one: edgesr weights fetch FILE",
    ]
    Output(as_json=as_json).result(rows, lines)


@app.command()
def fetch(
    names: Annotated[list[str], typer.Argument(metavar="FILE...", help="File names as `edgesr weights list` shows them.")],
    mirror: Annotated[str | None, typer.Option(metavar="URL", help="Take the files from this folder instead.")] = None,
    as_json: Json = False,
) -> None:
    """Download official checkpoints into the cache, verified where their sha256 is known."""
    from dataclasses import asdict

    from edgesr.weights import fetch as run

    show = Output(as_json=as_json)
    done = []
    for name in names:
        with show.progress() as progress:
            done.append(run(name, progress=progress, base_url=mirror))
        if not done[-1].verified:
            show.warn(f"nobody published a sha256 for {name}; what arrived has {done[-1].sha256}")
    lines = [f"{f.name}: {f.path}{' (was there)' if f.cached else ''}{', verified' if f.verified else ''}" for f in done]
    show.result([{**asdict(f), "path": str(f.path)} for f in done], lines)
