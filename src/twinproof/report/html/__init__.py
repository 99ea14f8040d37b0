"""The report as one HTML file: readable without a network, and repeated by the browser that shows it."""
