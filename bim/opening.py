"""Open an IFC file, or say in one line what is wrong with it and what to export again."""

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ifcopenshell

from twin.errors import ModelError

SCHEMAS = ("IFC2X3", "IFC4", "IFC4X3")
_START, _END = b"ISO-10303-21;", b"END-ISO-10303-21;"
_COMPRESSED = (b"PK\x03\x04", b"\x1f\x8b")  # zip (also .ifczip) and gzip
_HEAD_BYTES, _TAIL_BYTES = 65_536, 4_096  # a header fits the first, the closing line the second
_FILE_SCHEMA = re.compile(rb"FILE_SCHEMA\s*\(\s*\(\s*'([^']*)'")
DAMAGED = (AttributeError, LookupError, RuntimeError, TypeError, ValueError, ArithmeticError)
"""What the IFC libraries raise over an instance that is not what its schema says, a reference to nothing, or numbers beyond all measure."""
_EXPORT = "export it again as IFC2X3, IFC4 or IFC4X3 (STEP file, .ifc)"


@dataclass(frozen=True)
class Model:
    """An opened IFC file."""

    path: Path
    schema: str
    sha256: str
    file: Any  # ifcopenshell.file


def open_model(path: Path) -> Model:
    """Open one IFC file; ModelError for anything that is not a whole IFC file of a schema we know."""
    content = _read(path)
    head = content[:_HEAD_BYTES].lstrip(b"\xef\xbb\xbf \t\r\n")
    if not content.strip():
        raise ModelError(f"{path}: the file is empty; {_EXPORT}")
    if content.startswith(_COMPRESSED):
        raise ModelError(f"{path}: a compressed file (zip, gzip or .ifczip); unpack it and give the .ifc file inside")
    if not head.startswith(_START):
        raise ModelError(f"{path}: not an IFC file (it does not begin with {_START.decode()}); {_EXPORT}")
    if _END not in content[-_TAIL_BYTES:]:
        raise ModelError(f"{path}: the file is cut off (no {_END.decode()} at its end); copy or export it again")
    stated = _FILE_SCHEMA.search(head)
    schema = stated[1].decode("ascii", "replace").upper() if stated else ""
    if not any(schema == known or re.fullmatch(f"{known}_(ADD|TC)[0-9](_TC[0-9])?", schema) for known in SCHEMAS):
        raise ModelError(f"{path}: schema {schema or 'not stated'!r} is not supported; {_EXPORT}")
    try:
        file = ifcopenshell.open(str(path))
        file.by_type("IfcProject")
    except (ifcopenshell.Error, ifcopenshell.SchemaError, RuntimeError, ValueError, OSError, AttributeError) as error:
        reason = " ".join(str(error).split())[:200].removesuffix(", check logs")  # the library's own, which nobody here can look into
        raise ModelError(f"{path}: not readable as IFC ({reason}); {_EXPORT}") from None
    if not file.by_type("IfcProject"):
        raise ModelError(f"{path}: no IfcProject in it, so it is no building model; {_EXPORT}")
    return Model(path, str(file.schema_identifier), hashlib.sha256(content).hexdigest(), file)


def _read(path: Path) -> bytes:
    try:
        if path.exists() and not path.is_file() and not path.is_dir():  # a pipe or a device has no end to wait for
            raise ModelError(f"{path}: cannot be read, it is a pipe or a device; give the path of an IFC model")
        return path.read_bytes()
    except FileNotFoundError:
        raise ModelError(f"{path}: no such file; give the path of an IFC model") from None
    except OSError as error:
        raise ModelError(f"{path}: cannot be read ({error.strerror}); give the path of an IFC model") from None
