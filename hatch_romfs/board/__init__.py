"""Boards: what answers at the other end of the wire, real or simulated."""
