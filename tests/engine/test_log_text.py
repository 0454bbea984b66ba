"""One screen says what failed."""

from penstock.log_text import LINES, cause

REPLICA = """The deployment failed to start 3 times in a row. See logs for details. Error:
ray::ServeReplica:penstock:Predictions.initialize_and_get_metadata() (pid=77, ip=127.0.0.1)
  File "/usr/lib/python3.11/concurrent/futures/_base.py", line 449, in result
    return self.__get_result()
           ^^^^^^^^^^^^^^^^^^^
RuntimeError: Traceback (most recent call last):
  File "/x/ray/serve/_private/replica.py", line 1, in initialize
    await self._initialize()

During handling of the above exception, another exception occurred:

Traceback (most recent call last):
  File "/x/serve_app/deployment.py", line 12, in build
    raise error
penstock.errors.ContractError: model fare: expected a field, found none. Add it.
"""


def test_of_a_chain_of_tracebacks_the_innermost_error_remains() -> None:
    assert cause(REPLICA) == "penstock.errors.ContractError: model fare: expected a field, found none. Add it."


def test_of_a_programs_log_the_last_error_and_what_it_says_of_it_remain() -> None:
    log = "LOG:  starting\nFATAL:  could not create any socket\nHINT:  Is another one running?\n"
    assert cause(log) == "FATAL:  could not create any socket\nHINT:  Is another one running?"
    assert cause("exec: /home/My: not found\n") == "exec: /home/My: not found"


def test_it_stays_on_one_screen_however_long_the_log_is() -> None:
    assert cause("\n".join(f"line {n}" for n in range(1000))).splitlines() == [f"line {n}" for n in range(994, 1000)]
    assert len(cause("ValueError: x\n" + "more\n" * 1000).splitlines()) == LINES
    assert cause("") == ""


def test_of_a_call_that_failed_between_processes_its_status_remains() -> None:
    text = (
        "grpc._channel._InactiveRpcError: <_InactiveRpcError of RPC that terminated with:\n"
        '\tstatus = StatusCode.DEADLINE_EXCEEDED\n\tdetails = "Deadline Exceeded"\n\tdebug_error_string = "x"\n>\n'
    )
    assert '\tstatus = StatusCode.DEADLINE_EXCEEDED\n\tdetails = "Deadline Exceeded"' in cause(text)
    assert "debug_error_string" not in cause(text)
