"""Devices kept on the wire for somebody else's client."""

import json
import os
import signal
import socket
import subprocess
import sys

from twin.site import product_root


def test_devices_stay_up_for_others_until_a_person_ends_it_and_leave_no_port_open(tmp_path):
    command = [sys.executable, "-m", "twin", "plant", "corner_clinic", "--plant", "rc", "--speed", "6000", "--json"]
    environment = {**os.environ, "PYTHONPATH": str(product_root())}
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=tmp_path, env=environment, text=True) as process:
        up = json.loads(process.stdout.readline())
        ports = [c["port"] for c in up["connections"].values() if c["protocol"] == "modbus"]
        with socket.create_connection(("127.0.0.1", ports[0]), timeout=20) as client:
            client.sendall(bytes.fromhex("000100000006010400000001"))  # read one input register of unit 1
            answer = client.recv(64)
        process.send_signal(signal.SIGINT)
        rest, errors = process.communicate(timeout=60)

    assert answer[7] in (0x04, 0x84)  # a Modbus answer: the value, or that this unit has none there
    assert json.loads(rest)["stopped"] is True
    assert process.returncode == 0, errors
    with socket.socket() as free:
        free.bind(("127.0.0.1", ports[0]))


def test_a_faulty_site_is_refused_where_its_file_names_nothing_of_it(tmp_path):
    faults = tmp_path / "faults.toml"
    faults.write_text('[[fault]]\nkind = "device_silent"\nplace = "floor_9"\n')
    command = [sys.executable, "-m", "twin", "plant", "corner_clinic", "--plant", "rc", "--faults", str(faults)]
    done = subprocess.run(command, capture_output=True, cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(product_root())}, text=True)

    assert done.returncode == 1
    assert "device_silent cannot sit at 'floor_9'; expected one of ahu_1, floor_1" in done.stderr
