"""A packed model: opened by mmap, checked, and asked for predictions."""

from pathlib import Path

from penstock.artifact import file as artifact_file
from penstock.artifact.native import Artifact, Engine


def load(path: str | Path, *, engine: Engine = "auto") -> "Artifact":
    """The model of the file; ArtifactError for a truncated, tampered or foreign file or another format version.

    `engine` is for tests: `c` and `numpy` give the same bits, `auto` takes C where it was built.
    """
    path = Path(path)
    header, arrays = artifact_file.read(path)
    if header.engine == "skops":
        from penstock.artifact.skops_artifact import SkopsArtifact

        return SkopsArtifact(path, header, arrays)
    if header.engine == "catboost":
        from penstock.artifact.catboost_artifact import CatBoostArtifact

        return CatBoostArtifact(path, header, arrays)
    return Artifact(path, header, arrays, engine)
