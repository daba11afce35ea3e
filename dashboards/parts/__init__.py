"""The pieces every page is made of. Only this package makes tiles, charts and grids, so that all look and behave alike."""
