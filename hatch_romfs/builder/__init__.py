"""From a project to its image: jobs, collecting, compiling, packing, and writing what comes out of it."""
