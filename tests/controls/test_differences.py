"""What is told of a device that was reprogrammed."""

from controls.differences import differences, report

BEFORE = {"bacnet:a/analog-input,1": ["Room", "62"], "bacnet:a/analog-input,2": ["Duct", "62"], "bacnet:a/binary-output,1": ["Fan", ""]}


def test_nothing_is_told_where_nothing_differs_or_nothing_was_known():
    assert differences(BEFORE, dict(BEFORE)) == {}
    assert differences({"bacnet:a/analog-input,1": []}, BEFORE) == {}
    assert differences({}, BEFORE) == {}


def test_another_name_other_units_and_a_missing_object_are_told_by_address():
    now = {"bacnet:a/analog-input,1": ["Pump speed", "98"], "bacnet:a/analog-input,2": ["Duct", "64"], "bacnet:a/binary-output,1": []}

    assert differences(BEFORE, now) == {
        "bacnet:a/analog-input,1": "analog-input,1 was called Room, now Pump speed",
        "bacnet:a/analog-input,2": "analog-input,2 (Duct) changed its units",
        "bacnet:a/binary-output,1": "binary-output,1 (Fan) is gone",
    }


def test_a_report_names_a_few_and_counts_the_rest():
    said = report("a", {f"x/{n}": f"object {n}" for n in range(8)})

    assert "object 4; and 3 more" in said
    assert "object 5" not in said
