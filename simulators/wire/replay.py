"""Many field devices for load: each answers, after its turnaround, what a real stack answered to the same question before.

A real device would cost more than the client that is to be measured. So one device of each real stack (rusty-bacnet, pymodbus)
is asked each question once, and all ports repeat its answer under the number of the new question. Writes are never repeated.
What can be commanded is never repeated either: it is asked anew. A flooding device tells one change over and over to whoever subscribed.
Run as a process of its own: `python -m simulators.wire.replay`, a JSON object of numbers on standard input; it ends with that input,
and says how many changes it told.
"""

import asyncio
import json
import logging
import sys
from dataclasses import asdict, dataclass
from typing import Any

from pymodbus.server import ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice
from rusty_bacnet import BACnetServer

from simulators.wire.ports import LOOPBACK, broadcast_of, free_tcp_port, free_udp_port

READ_PROPERTY, READ_MULTIPLE = 12, 14
REQUEST, NOTICE = 0x00, 0x10  # confirmed, and unconfirmed
SUBSCRIBE = 5
SLOTS = (b"\x09\x57", b"\x19\x57")  # property priority-array as either question names it: somebody commands it, so no answer lasts
FLOOD_TICK_S = 0.005
MODBUS_READS = (1, 2, 3, 4)
logging.getLogger("pymodbus").setLevel(logging.CRITICAL)  # it would dump each request of a client that asks wrongly
REGISTERS = 10_000
UNITS_DEG_C = 62


@dataclass(frozen=True, slots=True)
class Load:
    """What to put on the wire; `silent` of the BACnet devices never answer."""

    devices: int = 10
    points: int = 100  # analog inputs of each device, and as many analog values
    turnaround_s: float = 0.0
    silent: int = 0
    gateways: int = 0  # Modbus
    flood: int = 0  # changes of value that the first device tells in a second, once somebody has subscribed

    def text(self) -> str:
        """As the process takes it."""
        return json.dumps(asdict(self))


class _Device(asyncio.DatagramProtocol):
    """One BACnet port."""

    def __init__(self, real: "_RealBacnet", load: Load, number: int) -> None:
        self._real = real
        self._turnaround_s = load.turnaround_s
        self._silent = number < load.silent
        self._flood = load.flood if number == 0 else 0
        self._known: dict[bytes, bytes] = {}
        self._wire: Any = None

    def connection_made(self, transport: Any) -> None:
        self._wire = transport

    def datagram_received(self, data: bytes, addr: Any) -> None:
        if self._silent or len(data) < 10 or data[6] & 0xF0 != REQUEST:
            return  # only confirmed requests are answered
        if self._flood and data[9] == SUBSCRIBE:
            self._tell(addr)
        answer = self._known.get(data[9:])
        if answer is None:
            self._real.ask(data, lambda said: self._learned(data, said, addr))
        else:
            self._say(answer[:7] + data[8:9] + answer[8:], addr)

    def _learned(self, data: bytes, said: bytes, addr: Any) -> None:
        if data[9] in (READ_PROPERTY, READ_MULTIPLE) and said[6] == 0x30 and not any(s in data for s in SLOTS):
            self._known[data[9:]] = said
        self._say(said, addr)

    def _say(self, answer: bytes, addr: Any) -> None:
        if self._turnaround_s:
            asyncio.get_running_loop().call_later(self._turnaround_s, self._wire.sendto, answer, addr)
        else:
            self._wire.sendto(answer, addr)

    def _tell(self, addr: Any) -> None:
        """Flood whoever subscribed, and go on until the process ends."""
        rate, self._flood = self._flood, 0

        async def flood() -> None:
            begun, told = asyncio.get_running_loop().time(), 0
            while True:
                await asyncio.sleep(FLOOD_TICK_S)
                due = int(rate * (asyncio.get_running_loop().time() - begun))
                for _ in range(due - told if self._real.notice else 0):
                    self._wire.sendto(self._real.notice, addr)
                    self._real.told += 1
                told = due

        _keep.append(asyncio.ensure_future(flood()))


class _RealBacnet(asyncio.DatagramProtocol):
    """The one real device, asked by invoke ids of our own."""

    def __init__(self) -> None:
        self.notice = b""  # the latest change that it told
        self.told = 0  # ... and how often the flooding device has repeated it
        self._waiting: dict[int, tuple[int, Any]] = {}
        self._next = 0
        self._wire: Any = None

    def connection_made(self, transport: Any) -> None:
        self._wire = transport

    def ask(self, data: bytes, then: Any) -> None:
        self._next = (self._next + 1) % 256
        self._waiting[self._next] = (data[8], then)
        self._wire.sendto(data[:8] + bytes([self._next]) + data[9:])

    def datagram_received(self, data: bytes, addr: Any) -> None:
        if data[6] & 0xF0 == NOTICE:
            self.notice = data
            return
        own, then = self._waiting.pop(data[7], (0, None))
        if then:
            then(data[:7] + bytes([own]) + data[8:])


async def _bacnet_ports(load: Load, real: _RealBacnet) -> list[int]:
    real_port = free_udp_port()
    server = BACnetServer(
        1, "load", interface=LOOPBACK, port=real_port, broadcast_address=broadcast_of(LOOPBACK), share_port_by_address=True
    )
    for n in range(load.points):
        server.add_analog_input(n, f"in {n}", UNITS_DEG_C, 20.0 + n / 7)
        server.add_analog_value(n, f"out {n}", UNITS_DEG_C)
    await server.start()
    _keep.append(server)
    loop = asyncio.get_running_loop()
    await loop.create_datagram_endpoint(lambda: real, remote_addr=(LOOPBACK, real_port))
    ports = []
    for n in range(load.devices):
        wire, _ = await loop.create_datagram_endpoint(lambda n=n: _Device(real, load, n), local_addr=(LOOPBACK, 0))  # type: ignore[misc]
        ports.append(wire.get_extra_info("sockname")[1])
    return ports


async def _modbus_ports(load: Load) -> list[int]:
    if not load.gateways:
        return []
    real_port = free_tcp_port()
    values = [n % 65536 for n in range(REGISTERS)]
    server = ModbusTcpServer([SimDevice(1, [SimData(0, values=values, datatype=DataType.REGISTERS)])], address=(LOOPBACK, real_port))
    await server.serve_forever(background=True)
    _keep.append(server)
    known: dict[bytes, bytes] = {}
    ports = []
    for _ in range(load.gateways):
        listener = await asyncio.get_running_loop().create_server(lambda: _Gateway(real_port, known), LOOPBACK, 0)
        _keep.append(listener)
        ports.append(listener.sockets[0].getsockname()[1])
    return ports


class _Gateway(asyncio.Protocol):
    """One Modbus TCP connection; `known` is shared: reads only, so nothing goes stale."""

    def __init__(self, real_port: int, known: dict[bytes, bytes]) -> None:
        self._real_port = real_port
        self._known = known
        self._wire: Any = None

    def connection_made(self, transport: Any) -> None:
        self._wire = transport

    def data_received(self, data: bytes) -> None:
        answer = self._known.get(data[2:])
        if answer is not None:
            self._wire.write(data[:2] + answer[2:])
        else:
            task = asyncio.ensure_future(self._learn(data))
            _keep.append(task)

    async def _learn(self, data: bytes) -> None:
        reader, writer = await asyncio.open_connection(LOOPBACK, self._real_port)
        writer.write(data)
        head = await reader.readexactly(6)
        answer = head + await reader.readexactly(int.from_bytes(head[4:6], "big"))
        writer.close()
        if data[7] in MODBUS_READS:
            self._known[data[2:]] = answer
        self._wire.write(answer)


_keep: list[Any] = []  # what must live as long as the process


async def _serve(load: Load) -> None:
    real = _RealBacnet()
    ports = {"bacnet": await _bacnet_ports(load, real) if load.devices else [], "modbus": await _modbus_ports(load)}
    sys.stdout.write(json.dumps(ports) + "\n")
    sys.stdout.flush()
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    sys.stdout.write(f"{real.told}\n")


if __name__ == "__main__":
    asyncio.run(_serve(Load(**json.loads(sys.stdin.readline()))))
