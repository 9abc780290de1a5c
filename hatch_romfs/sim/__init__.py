"""The simulated board: a real MicroPython with a ROMFS partition, behind a serial port."""
