"""How build front ends reach the build: Hatch's target and hook, setuptools' backend and command."""
