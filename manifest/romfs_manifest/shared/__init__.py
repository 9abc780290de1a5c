"""What hatch_romfs needs as well: it imports these modules from here."""
