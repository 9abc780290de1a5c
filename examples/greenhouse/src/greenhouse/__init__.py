"""A greenhouse monitor: calibrated sensors, their last hours, and a web page."""
