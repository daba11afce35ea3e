"""simulators: a whole site in a box. Plants, people, weather and devices that speak real BACnet and Modbus.

No room below imports it.
"""
