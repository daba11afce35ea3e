"""twin: the words everybody uses, the site and its graph, the point book, the journal and the history.

It is the shared ground of all rooms. It never talks to a wire, opens an IFC file or signs anything.
"""
