"""How build front ends reach the build: Hatch's target and hook, and what only a build backend knows."""
