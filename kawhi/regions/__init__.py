"""Image -> the visual tokens that matter.  numpy, scipy and OpenCV only: no model, no trainer."""
