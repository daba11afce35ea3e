"""The memory collector of a gateway: seldom, and never over what stays. Looking at everything kept the loop for a tenth of a second."""

import gc

YOUNG_MAX = 5_000  # new objects before it looks, which then takes some two milliseconds
MIDDLE, OLD = 50, 100  # each older generation is looked at so many times more seldom


def settle() -> None:
    """What lives now stays as long as the process (twin, libraries, the first image): it is not looked at again."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG_MAX, MIDDLE, OLD)
