"""Files of images: found, measured, decoded, made alike."""
