"""carbon: emission factors as exact records, and emissions to the gram from metered energy. Integers and exact fractions only."""
