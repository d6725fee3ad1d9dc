"""The reconciler as its users install it: the wheel, the image, the chart, the alerts."""
