"""Every lie that a simulated device can be told to tell, by name: for sites that shall be tried before their devices are."""

from collections.abc import Callable, Mapping

from simulators.wire import bacnet_lies, modbus_lies
from simulators.wire.faults import Honest

LIES: Mapping[str, Mapping[str, Callable[[], Honest]]] = {
    "bacnet": {
        "rows_missing": bacnet_lies.rows_missing,
        "rows_extra": bacnet_lies.rows_extra,
        "rows_out_of_order": bacnet_lies.rows_out_of_order,
        "no_multiple": bacnet_lies.no_multiple,
        "too_big": lambda: bacnet_lies.too_big(7),
        "no_segmentation": lambda: bacnet_lies.too_big(7, bacnet_lies.NO_SEGMENTATION),
        "write_denied": lambda: bacnet_lies.write_fails(bacnet_lies.WRITE_DENIED),
        "out_of_range": lambda: bacnet_lies.write_fails(bacnet_lies.OUT_OF_RANGE),
        "no_write_answer": bacnet_lies.NoAck,
        "last_answer_again": bacnet_lies.LastAnswerAgain,
        "cov_full": bacnet_lies.no_room,
        "reprogrammed": bacnet_lies.Reprogrammed,
    },
    "modbus": {
        "transaction_zero": modbus_lies.transaction_zero,
        "other_function": modbus_lies.other_function,
        "no_function": modbus_lies.no_function,
        "coils_for_registers": modbus_lies.coils_for_registers,
        "fewer_registers": modbus_lies.fewer_registers,
        "more_registers": modbus_lies.more_registers,
        "swapped_words": modbus_lies.swapped_words,
        "other_unit": modbus_lies.other_unit,
        "false_echo": modbus_lies.false_echo,
        "no_write_answer": modbus_lies.no_write_answer,
        "last_answer_again": modbus_lies.LastAnswerAgain,
    },
}


def lie_named(protocol: str, name: str) -> Honest:
    """A new teller of this lie. ValueError names the lies there are."""
    known = LIES[protocol]
    if name not in known:
        raise ValueError(f"a {protocol} device knows no lie {name!r}; known: {', '.join(known)}")
    return known[name]()
