"""The manifest tool. It never imports ``hatch_romfs``, so that it can be used alone."""
