"""The view network: whom a container talks to over TCP, what that came to, and what its listeners are asked."""
