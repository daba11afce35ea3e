"""One alarm for a network that is gone, and one for a device that is gone alone."""

from controls.outages import Outages

NETWORKS = {"vav_1": "trunk", "vav_2": "trunk", "vav_3": "trunk", "ahu": "", "lone": "spur"}


def told(outages: Outages) -> list[str]:
    return [f"{o.kind} {o.name} {'down' if o.raised else 'up'}" for o in outages.news()]


def test_a_device_that_dies_alone_is_told_by_its_name():
    outages = Outages(NETWORKS, lambda name: 3 if name == "vav_1" else 0)
    outages.note("vav_1", lost=True)
    assert told(outages) == ["device vav_1 down"]
    assert told(outages) == []
    outages.note("vav_1", lost=False)
    assert told(outages) == ["device vav_1 up"]


def test_devices_without_a_network_or_alone_behind_a_router_are_told_at_once():
    outages = Outages(NETWORKS, lambda name: 3)
    for name in ("ahu", "lone"):
        outages.note(name, lost=True)
    assert told(outages) == ["device ahu down", "device lone down"]


def test_a_network_that_dies_piece_by_piece_is_one_alarm():
    failures = {"vav_1": 3, "vav_2": 2, "vav_3": 1}
    outages = Outages(NETWORKS, lambda name: failures.get(name, 0))
    outages.note("vav_1", lost=True)
    assert told(outages) == []  # the others do not answer either: it may be the router
    for name in ("vav_2", "vav_3"):
        outages.note(name, lost=True)
    assert told(outages) == ["network trunk down"]


def test_a_network_that_comes_back_takes_its_alarm_along_and_who_stays_away_is_told_once_it_was_asked():
    failures = dict.fromkeys(("vav_1", "vav_2", "vav_3"), 7)
    outages = Outages(NETWORKS, lambda name: failures.get(name, 0))
    for name in failures:
        outages.note(name, lost=True)
    assert told(outages) == ["network trunk down"]

    failures["vav_1"] = 0
    outages.note("vav_1", lost=False)
    assert told(outages) == ["network trunk up"]
    assert outages.just_back() == {"vav_2", "vav_3"}

    failures["vav_2"] = 8  # asked, and silent
    assert told(outages) == ["device vav_2 down"]
    outages.note("vav_3", lost=False)
    assert told(outages) == []
    assert outages.just_back() == set()
