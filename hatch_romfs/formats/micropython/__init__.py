"""The ROMFS of MicroPython boards: records, layout, writer, reader, and the image on the host."""
