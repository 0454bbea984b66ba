"""Builds what is in C where a compiler is there, and packs the template of `penstock init`."""

import sys
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.bdist_wheel import bdist_wheel
from setuptools.command.build_py import build_py

TOP = Path(__file__).resolve().parent
sys.path.insert(0, str(TOP))  # a build frontend does not have the sources there

from penstock.scaffold.archive import pack  # noqa: E402


class Abi3Wheel(bdist_wheel):
    """Tags the wheel for every CPython from 3.11 on, as the kernel keeps to the limited API."""

    def get_tag(self) -> tuple[str, str, str]:
        """`cp311-abi3-<platform>`; a pure wheel keeps its tag."""
        python, abi, platform = super().get_tag()
        return ("cp311", "abi3", platform) if python.startswith("cp") else (python, abi, platform)


class BuildWithTemplate(build_py):
    """Packs into the wheel what a new project is made of; an editable engine reads it where it is."""

    def run(self) -> None:
        """Build the modules, then the archive beside `penstock.scaffold`."""
        super().run()
        if not self.editable_mode:
            pack(TOP, Path(self.build_lib) / "penstock" / "scaffold")


setup(
    cmdclass={"bdist_wheel": Abi3Wheel, "build_py": BuildWithTemplate},
    ext_modules=[
        Extension(
            ".".join(source.with_suffix("").parts),
            [str(source)],
            define_macros=[("Py_LIMITED_API", "0x030B0000")],
            # No fused multiply-add: the numpy fallback and scikit-learn round after every operation.
            extra_compile_args=["-O3", "-g0", "-std=c11", "-ffp-contract=off", "-fno-math-errno"],
            py_limited_api=True,
            optional=True,
        )
        for source in sorted(Path("penstock").rglob("*.c"))
    ],
)
