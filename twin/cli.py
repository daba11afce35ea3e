"""The command line: one table of commands, and only the room that is asked for is loaded.

Exit codes: 0 done, 1 a check or verification failed, 2 wrong use, 69 something needed is missing, 70 our fault, 130 interrupted.
"""

import difflib
import errno
import importlib
import logging
import sys
import traceback
from collections.abc import Sequence
from typing import Any, Final

from twin.errors import WattproofError

COMMANDS: Final = {
    # name: (where it is, what it does)
    "demo": ("simulators.commands:demo", "the whole product once, on a simulated building: import, control, seal, verify, show"),
    "import": ("bim.commands:import_", "IFC models to one Brick twin, with readiness and coverage"),
    "review": ("bim.review_commands:review", "what an import is unsure of: list it, decide, take back"),
    "check": ("twin.commands:check", "every consistency check of a site, all findings at once"),
    "discover": ("controls.discover_commands:discover_", "devices and objects on the site's buses, matched with the twin"),
    "simulate": ("simulators.simulate_commands:simulate", "one simulated period under business-as-usual, code or our own control"),
    "benchmark": ("simulators.benchmark_commands:benchmark", "buildings, weathers, periods and controllers, one row of key figures each"),
    "site-from-energyplus": ("simulators.site_commands:site_from_energyplus", "a whole simulated site from any EnergyPlus model"),
    "site-from-ifc": ("simulators.site_commands:site_from_ifc", "a whole simulated site from real IFC models, what is assumed named"),
    "plant": ("simulators.plant_commands:plant", "a simulated site's devices on loopback, for anybody's BACnet or Modbus client"),
    "commission": ("simulators.commission_commands:commission", "try every point of a simulated site, and report what is wrong"),
    "run": ("controls.commands:run", "control a real site by the wall clock"),
    "release": ("controls.commands:release", "give the building back: every command relinquished"),
    "read": ("controls.point_commands:read", "look at points, as the controller or the wire shows them"),
    "write": ("controls.point_commands:write", "ask for a value at a writable point, with reason and end, through the arbiter"),
    "sign": ("ledger.site_commands:sign", "an engineer signs what makes points of a site writable"),
    "grant": ("ledger.site_commands:grant", "verify that signature here, and let the signed points be written"),
    "seal": ("ledger.seal_commands:seal", "follow a site's journal and seal it into its owner's group"),
    "witness": ("ledger.commands:witness", "the government's process: joins groups and cosigns checkpoints"),
    "group": ("ledger.commands:group_app", "ledger groups: create, show, check, tiles, trust"),
    "device": ("ledger.commands:device_app", "device identities: list, enrol, rotate, replace, suspend, resume, revoke, crl"),
    "member": ("ledger.member_commands:member_app", "members and their keys: list, protect, recover, new log and witness keys, approvals"),
    "data": ("ledger.member_commands:data_app", "data keys of a group: a new epoch, and content destroyed by order while proofs hold"),
    "authority": (
        "ledger.authority_commands:authority_app",
        "who may move which points: give, end, list, key, request",
    ),
    "certificate": ("ledger.tls_commands:certificate_app", "certificates of an encrypted field bus: issue, renew, revoke, list"),
    "hub": ("controls.hub_commands:hub", "a BACnet Secure Connect hub, for a site that has none"),
    "bundle": ("ledger.commands:bundle", "take a group's evidence out as one file"),
    "verify": ("ledger.commands:verify", "verify a bundle offline against keys the inspector already holds"),
    "backup": ("ledger.commands:backup", "keep a group's whole state as one encrypted file"),
    "restore": ("ledger.commands:restore", "put a group back from a backup; a log that is behind its witness is refused"),
    "serve": ("dashboards.commands:serve", "the pages: control room and owner, or the government's with --government"),
    "speed": ("simulators.speed_commands:speed", "the table of speed and memory figures"),
    "doctor": ("twin.commands:doctor", "what this machine has and lacks; --install brings what it may"),
    "test": ("twin.commands:run_tests", "every check and test of the product"),
}
WRONG_USE, OUR_FAULT, INTERRUPTED = 2, 70, 130
OUT_OF: Final = {
    errno.EMFILE: "no file descriptors left; raise the limit with `ulimit -n 4096`",
    errno.ENFILE: "this machine has no file descriptors left; end programs that hold many",
    errno.ENOSPC: "the disk is full; make room",
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one command and leave with its exit code."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    if not words or words[0] in ("-h", "--help", "help"):
        print(help_text())
        raise SystemExit(0)
    if words[0] not in COMMANDS:
        near = difflib.get_close_matches(words[0], COMMANDS, 1)
        print(f"wattproof: no command {words[0]!r}; " + (f"did you mean {near[0]!r}?" if near else "see wattproof --help"), file=sys.stderr)
        raise SystemExit(2)
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    raise SystemExit(_run(words[0], words[1:]))


def help_text() -> str:
    """The page that `wattproof --help` prints."""
    width = max(map(len, COMMANDS))
    lines = [f"  {name:<{width}}  {what}" for name, (_, what) in COMMANDS.items()]
    return "\n".join(["usage: wattproof COMMAND [OPTIONS]      wattproof COMMAND --help tells more", "", *lines])


def load(name: str) -> Any:
    """The typer function or app behind a command; imports its room."""
    module, _, attribute = COMMANDS[name][0].partition(":")
    return getattr(importlib.import_module(module), attribute)


def _run(name: str, words: list[str]) -> int:
    from typer.exceptions import TyperException

    try:
        code = _app(name)(args=words, prog_name=f"wattproof {name}", standalone_mode=False)
    except WattproofError as error:
        print(f"wattproof {name}: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        code = INTERRUPTED
    except TyperException as error:
        print(_wrong_use(name, error), file=sys.stderr)
        return WRONG_USE
    except Exception as error:  # noqa: BLE001 (the edge of the process: a mistake of ours must not look like a failed check)
        if isinstance(error, OSError) and error.errno in OUT_OF:
            print(f"wattproof {name}: {OUT_OF[error.errno]} ({error})", file=sys.stderr)
            return 1
        traceback.print_exc()
        print(f"wattproof {name}: our fault ({type(error).__name__}); the lines above say where, please report them", file=sys.stderr)
        return OUR_FAULT
    if code == INTERRUPTED:
        print(f"wattproof {name}: interrupted", file=sys.stderr)
    return code if isinstance(code, int) else 0


def _app(name: str) -> Any:
    import typer

    command = load(name)
    if isinstance(command, typer.Typer):
        return command
    app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)
    app.command(name)(command)
    return app


def _wrong_use(name: str, error: Exception) -> str:
    """Typer's refusal in one line; a group of commands without a word is answered with its help instead."""
    said = error.format_message() if hasattr(error, "format_message") else str(error)
    where = getattr(getattr(error, "ctx", None), "command_path", f"wattproof {name}")
    return said if "\n" in said else f"{where}: {said.rstrip('.')}; see {where} --help"
