"""The `penstock` command, also as `python -m penstock`."""

import sys

from penstock.extras import missing_extra


def main() -> None:
    """Run the command line; a sentence where the bare engine is installed, which has none."""
    try:
        from penstock.cli.main import main as command_line
    except ModuleNotFoundError as error:
        sentence = missing_extra(error)
        if not sentence:
            raise
        sys.exit(f"penstock: {sentence}")
    command_line()


if __name__ == "__main__":
    main()
