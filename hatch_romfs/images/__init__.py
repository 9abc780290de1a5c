"""What can be done with an image that exists: extract it, run it, find it in an installed package."""
