"""A heartbeat on a board's LED: two short blinks and a pause."""

import time

try:
    from machine import Pin
except ImportError:  # the unix port: no board, no pins
    Pin = None

LED_PIN = "LED"  # a name that many boards know; put yours here, such as "LED_BLUE" or 13

BEAT = ((1, 40), (0, 80), (1, 40), (0, 120))
"""The states of the LED, and for how many milliseconds."""


class PrintedLed:
    """Replaces the LED where there is none: prints what it would do."""

    def value(self, on):
        """Print the state that the LED is set to."""
        print("LED on" if on else "LED off")


def led():
    """Return the board's LED, or one that prints."""
    return Pin(LED_PIN, Pin.OUT) if Pin else PrintedLed()


def run(beats=2):
    """Blink this many beats, and leave the LED off."""
    lamp = led()
    for _ in range(beats):
        for on, pause_ms in BEAT:
            lamp.value(on)
            time.sleep_ms(pause_ms)


run()  # `import blink` is all that a board's main.py needs
