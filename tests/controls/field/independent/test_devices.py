"""discover, read and write against devices by BAC0 (bacpypes3), node-bacnet and libmodbus: none of their code is ours."""

import json

import pytest

TEMPERATURE, DAMPER = "box.zn_t", "box.dmp"
KINDS = {TEMPERATURE: "Zone_Air_Temperature_Sensor", DAMPER: "Damper_Position_Command"}


def points(temperature, damper):
    return [(TEMPERATURE, KINDS[TEMPERATURE], temperature), (DAMPER, KINDS[DAMPER], damper)]


def bacnet(port, instance):
    return f'protocol = "bacnet"\nport = {port}\ndevice = {instance}\n'


def readings(answer):
    code, out, err = answer
    assert code == 0, err
    return [(r["value"], r["quality"]) for r in json.loads(out)["readings"]]


def written(answer):
    code, out, err = answer
    assert code == 0, out + err
    return json.loads(out)


def at_bac0(request):
    return bacnet(request.getfixturevalue("bac0_port"), 3001), "BAC0 box", 21.5


def at_node(request):
    return bacnet(request.getfixturevalue("node_port"), 3002), "node box", 22.5


BACNET = pytest.mark.parametrize("at", [at_bac0, at_node], ids=["BAC0", "node-bacnet"])
PLACES = ("bacnet:box/analog-input,0", "bacnet:box/analog-output,0")


@BACNET
def test_discover_finds_the_device_with_names_units_and_what_takes_commands(at, request, small_site):
    connection, name, _ = at(request)
    home = small_site(connection, points(*PLACES))
    code, out, err = home.ask("discover", "--json")
    assert code == 0, err
    found = json.loads(out)
    assert [(d["name"], d["points"]) for d in found["devices"]] == [(name, 2)], err
    assert found["problems"] == []
    assert {m["point"] for m in found["matched"]} == {TEMPERATURE, DAMPER}


@BACNET
def test_a_point_is_read_and_a_wish_goes_through_the_arbiter_and_is_taken_back(at, request, small_site):
    connection, _, temperature = at(request)
    home = small_site(connection, points(*PLACES))
    assert readings(home.ask("read", TEMPERATURE, DAMPER, "--json")) == [(temperature, "good"), (10.0, "good")]
    with home.controlled():
        answer = written(home.ask("write", DAMPER, "55", "--why", "a guest is warm", "--by", "ann", "--json"))
        assert (answer["result"], answer["read_back"], answer["slot"], answer["ruling_priority"]) == ("applied", 55.0, 55.0, 13)
        code, _, err = home.ask("write", TEMPERATURE, "25", "--why", "w")
        assert code != 0
        assert "not writable" in err
        written(home.ask("write", DAMPER, "--release", "--why", "the guest left", "--by", "ann", "--json"))
    assert readings(home.ask("read", DAMPER, "--json")) == [(10.0, "good")]


def test_registers_of_libmodbus_are_found_read_written_and_restored(modbus_port, small_site):
    home = small_site(
        f'protocol = "modbus"\nport = {modbus_port}\n', points("modbus:box/1/holding/10:float32", "modbus:box/1/holding/100:uint16")
    )
    code, out, err = home.ask("discover", "--json")
    assert code == 0, err
    assert [(d["protocol"], d["points"]) for d in json.loads(out)["devices"]] == [("modbus", 2)]
    assert readings(home.ask("read", TEMPERATURE, DAMPER, "--json")) == [(21.5, "good"), (40.0, "good")]
    with home.controlled():
        answer = written(home.ask("write", DAMPER, "55", "--why", "a guest is warm", "--by", "ann", "--json"))
        assert (answer["result"], answer["read_back"]) == ("applied", 55.0)
    assert readings(home.ask("read", DAMPER, "--json")) == [(40.0, "good")]  # what stood there before us
