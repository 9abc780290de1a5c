"""A page that looks into images and writes them to boards, with this code in the browser."""
