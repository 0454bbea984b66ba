"""How fast and how shared model files are: `python -m benchmarks.artifact [--json] [--quick] [--onnx PYTHON]`."""

import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import click
import msgspec

from benchmarks import ROOT
from benchmarks.artifact.boosters import booster_figures
from benchmarks.artifact.forest import forest_figures, import_figures
from benchmarks.artifact.rows import row_figures
from benchmarks.figures import Figure, at_most
from penstock.artifact.native import compiled
from penstock.scaffold.archive import NAME as ARCHIVE
from penstock.scaffold.manifest import template_files


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print the figures as JSON.")
@click.option("--quick", is_flag=True, help="A tenth of the forest and fewer repeats.")
@click.option("--onnx", metavar="PYTHON", help="An interpreter with skl2onnx and onnxruntime, to measure them beside.")
def main(as_json: bool, quick: bool, onnx: str | None) -> None:
    """Measure everything in one run; absolute times depend on the machine, ratios less so."""
    with tempfile.TemporaryDirectory(prefix="penstock-artifact-") as name:
        folder = Path(name)
        figures = row_figures(folder, quick=quick) + booster_figures(folder, quick=quick)
        figures += import_figures(5 if quick else 15)
        figures += [*wheel_figures(folder), *forest_figures(folder, quick=quick)]
        if onnx:
            figures += onnx_figures(onnx, folder)
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(figures)))
        return
    click.echo(f"kernel: {'C' if compiled() else 'numpy (no compiler was there)'}")
    for figure in figures:
        click.echo(figure.line())
    if not onnx:
        click.echo("ONNX Runtime beside it: not measured, see --onnx")


def onnx_figures(interpreter: str, folder: Path) -> list[Figure]:
    """What ONNX Runtime does with the same estimators and rows, as far as it can do them."""
    script = Path(__file__).parent / "by_onnx.py"
    done = subprocess.run([interpreter, str(script), str(folder)], stdout=subprocess.PIPE, text=True, check=True)
    return [Figure(*figure) for figure in msgspec.json.decode(done.stdout, type=list[tuple[str, float, str]])]


def wheel_figures(folder: Path) -> list[Figure]:
    """The sizes of the engine and of the template in the wheel, built from a copy of the sources."""
    copy = folder / "engine"
    copy.mkdir()
    shutil.copytree(ROOT / "penstock", copy / "penstock", ignore=shutil.ignore_patterns("*.so", "__pycache__"))
    for name in ("setup.py", "README.md", *template_files(ROOT)):
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, copy / name)
    build = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation", "-w", str(folder)]
    subprocess.run([*build, str(copy)], check=True)
    wheel = next(folder.glob("*.whl"))
    template = zipfile.ZipFile(wheel).getinfo(f"penstock/scaffold/{ARCHIVE}").compress_size
    return [
        at_most("wheel, without the template of projects", (wheel.stat().st_size - template) / 1e3, "kB", 1_000),
        at_most("template of projects, with their pins", template / 1e3, "kB", 60),
    ]


if __name__ == "__main__":
    main()
