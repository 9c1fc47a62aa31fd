"""Model repositories of a hub: what may go out, sending it, and fetching it checked."""
