"""What a program that failed said about it: the cause in its own words, without the way that led there."""

import re

LINES = 6
"""Of a cause: it stands on one screen, beside what to do about it."""
_NOISE = re.compile(
    r"""\s(?!\s*(?:status|details)\ =)        # the code of a frame, or of a hint below one; not what gRPC says
      | Traceback\ \(most\ recent\ call\ last | The\ above\ exception | During\ handling | Stack\ Trace
      | File\ " | \^+$ | ray::
      | \S+\ \(pid=\d+ """,
    re.VERBOSE,
)
_ERROR = re.compile(r"(?:[\w.]+\.)?\w*(?:Error|Exception|Exit|Timeout|Interrupt|Warning|Refused)\b(?::|$)")
_LEVEL = re.compile(r"\b(?:FATAL|ERROR|CRITICAL|ALERT)\b")


def cause(text: str) -> str:
    """The lines of a log or of an error's text that say what was wrong: the innermost error, else its last lines."""
    kept = [line.rstrip() for line in text.splitlines() if line.strip() and not _NOISE.match(line)]
    errors = [number for number, line in enumerate(kept) if _ERROR.match(line)]
    levels = [number for number, line in enumerate(kept) if _LEVEL.search(line)]
    if errors:
        kept = kept[errors[-1] :]
    elif levels:
        kept = kept[levels[-1] :]
    else:
        kept = kept[-LINES:]
    return "\n".join(line[:500] for line in kept[:LINES])
