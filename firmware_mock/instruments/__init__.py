"""The simulated instruments of a station: balance, thermohygrometer, and the operator's hand, each with its dialect."""
