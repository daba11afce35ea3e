"""energyplus: a building model read and edited by reference, and the engine stepped as a plant."""
