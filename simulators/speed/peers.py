"""Other people's BACnet and Modbus clients, each in a process of its own, asked the same of the same simulated devices.

They are measured where they are installed: BAC0 (PyPI), node-bacnet (npm), libmodbus (Debian). None is needed by the product.
"""

import ctypes
import ctypes.util
import importlib.util
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from twin.clock import monotonic_s

INSTALL_S = 60  # for npm, where it is; without a network it gives up
RUN_S = 120
NODE_BACNET = "node-bacnet@0.2.4"

_BAC0 = """
import asyncio, json, sys
from time import perf_counter, process_time
import BAC0
ports, points, each, passes = json.loads(sys.argv[1])
async def main():
    BAC0.log_level("silence")
    async with BAC0.start(ip="127.0.0.1/32", port=0 or json.loads(sys.argv[2])) as bacnet:
        async def scan(port, passes):
            for _ in range(passes):
                for first in range(0, points, each):
                    names = " ".join(f"analog-input {n} present-value" for n in range(first, first + each))
                    got = await bacnet.readMultiple(f"127.0.0.1:{port} {names}")
                    assert len(got) == each, got
        app = bacnet.this_application.app  # it asks for an I-Am before each request to a device that gave none: spare it that
        async def nothing(*_, **__):
            return [None]
        app.who_is = app.device_info_cache.set_device_info = nothing
        await asyncio.gather(*[scan(p, 1) for p in ports])
        wall, cpu = perf_counter(), process_time()
        await asyncio.gather(*[scan(p, passes) for p in ports])
        n = len(ports) * points * passes / 1e6
        print("FIGURES " + json.dumps([(perf_counter() - wall) / n, (process_time() - cpu) / n]), flush=True)
asyncio.run(main())
"""

_NODE = """
const Bacnet = require('node-bacnet');
const [ports, points, each, passes] = JSON.parse(process.argv[2]);
const client = new Bacnet({port: JSON.parse(process.argv[3]), interface: '127.0.0.1', apduTimeout: 3000});
const ask = (port, list) => new Promise((done, fail) =>
  client.readPropertyMultiple({address: `127.0.0.1:${port}`}, list, (err, got) => err ? fail(err) : done(got)));
async function scan(port, passes) {
  for (let pass = 0; pass < passes; pass++)
    for (let first = 0; first < points; first += each) {
      const list = [];
      for (let n = first; n < first + each; n++) list.push({objectId: {type: 0, instance: n}, properties: [{id: 85}]});
      const got = await ask(port, list);
      if (got.values.length !== each) throw new Error('rows');
    }
}
(async () => {
  await Promise.all(ports.map(p => scan(p, 10)));  // it speeds up after warming
  const began = process.hrtime.bigint(), cpu = process.cpuUsage();
  await Promise.all(ports.map(p => scan(p, passes)));
  const n = ports.length * points * passes, used = process.cpuUsage(cpu);
  console.log('FIGURES ' + JSON.stringify([Number(process.hrtime.bigint() - began) / 1e3 / n, (used.user + used.system) / n]));
  process.exit(0);
})().catch(e => { console.error(e); process.exit(1); });
"""

Timed = tuple[float, float]  # microseconds of wall time and of CPU for one point


def bac0(ports: list[int], points: int, each: int, own_port: int) -> Timed | None:
    """BAC0's figures, or None where it is not installed or does not work here."""
    if importlib.util.find_spec("BAC0") is None:
        return None
    return _figures([sys.executable, "-c", _BAC0, json.dumps([ports, points, each, 1]), json.dumps(own_port)], Path.cwd())


def node_bacnet(ports: list[int], points: int, each: int, own_port: int, folder: Path) -> Timed | None:
    """node-bacnet's figures, installed by npm in `folder`, or None where node, npm or the network are missing."""
    node = install_node_bacnet(folder)
    if node is None:
        return None
    script = folder / "rpm.js"
    script.write_text(_NODE, encoding="utf-8")
    return _figures([node, str(script), json.dumps([ports, points, each, 20]), json.dumps(own_port)], folder)


def install_node_bacnet(folder: Path) -> str | None:
    """Have npm bring node-bacnet into `folder`: the path of node, or None where node, npm or the network are missing."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        return None
    try:
        install = [npm, "install", "--silent", "--no-audit", "--no-fund", "--prefix", str(folder), NODE_BACNET]
        subprocess.run(install, cwd=folder, timeout=INSTALL_S, check=True, capture_output=True)  # noqa: S603 (found on this machine)
    except (subprocess.SubprocessError, OSError):
        return None
    return node


def _figures(command: list[str], folder: Path) -> Timed | None:
    try:
        done = subprocess.run(command, cwd=folder, timeout=RUN_S, check=True, capture_output=True, text=True)  # noqa: S603 (found here)
    except (subprocess.SubprocessError, OSError):
        return None
    said = [line.removeprefix("FIGURES ") for line in done.stdout.splitlines() if line.startswith("FIGURES ")]
    if not said:
        return None
    wall, cpu = json.loads(said[0])
    return float(wall), float(cpu)


def libmodbus(port: int, registers: int, blocks: int) -> float | None:
    """Microseconds a register for reading blocks over one connection with the C library, or None where it is not installed."""
    name = ctypes.util.find_library("modbus") or "libmodbus.so.5"
    try:
        library: Any = ctypes.CDLL(name)
    except OSError:
        return None
    library.modbus_new_tcp.restype = ctypes.c_void_p
    context = ctypes.c_void_p(library.modbus_new_tcp(b"127.0.0.1", port))
    library.modbus_set_slave(context, 1)
    try:
        if library.modbus_connect(context) != 0:
            return None
        words = (ctypes.c_uint16 * registers)()
        begun = monotonic_s()
        for n in range(blocks):
            if library.modbus_read_registers(context, n % 64, registers, words) != registers:
                return None
        return 1e6 * (monotonic_s() - begun) / (blocks * registers)
    finally:
        library.modbus_close(context)
        library.modbus_free(context)
