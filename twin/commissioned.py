"""What commissioning.toml says of a site: whether it was tried, passed, and still speaks of the files as they are."""

import tomllib

from twin.grants import digest, released
from twin.points import PointBook
from twin.site import Site

FILE = "commissioning.toml"


def commissioning_note(site: Site, book: PointBook) -> str:
    """What an engineer should know before signing; empty where the site passed with exactly what would be signed."""
    path = site.folder / FILE
    try:
        said = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return f"never tried on its simulated building: {FILE} is missing; `wattproof commission` makes it from a copy with a plant.toml"
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        return f"{FILE} is not readable ({error}); try the site again with `wattproof commission`"
    if said.get("passed") is not True:
        return f"did not pass when it was tried at {str(said.get('at', ''))[:10]}; see commissioning.html"
    if said.get("points_sha256") != points_digest(site, book):
        return f"changed since it was tried at {str(said.get('at', ''))[:10]}: what may be written is not what was tried"
    return ""


def points_digest(site: Site, book: PointBook) -> str:
    """Of the writable points with envelopes and addresses; hosts may differ between a simulated site and the real one."""
    return digest(released(site, book)["points"])
