"""bim: reading IFC models into the Brick graph with evidence and confidence, and writing IFC models.

It never talks to a device and knows a protocol address only as text.
"""
