"""dashboards: pages, sign-in and roles. It writes requests into the journal and decides nothing."""
