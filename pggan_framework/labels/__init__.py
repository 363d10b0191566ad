"""Labels of images and sounds: attributes and label maps."""

from pggan_framework.labels.attributes import Attribute, Labels, LabelSpace

__all__ = ["Attribute", "LabelSpace", "Labels"]
