"""Builds what is in C where a compiler is there; the engine works without it."""

from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.bdist_wheel import bdist_wheel


class Abi3Wheel(bdist_wheel):
    """Tags the wheel for every CPython from 3.11 on, as the kernel keeps to the limited API."""

    def get_tag(self) -> tuple[str, str, str]:
        """`cp311-abi3-<platform>`; a pure wheel keeps its tag."""
        python, abi, platform = super().get_tag()
        return ("cp311", "abi3", platform) if python.startswith("cp") else (python, abi, platform)


setup(
    cmdclass={"bdist_wheel": Abi3Wheel},
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
