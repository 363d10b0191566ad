"""What images and sounds are labelled with: attributes, and label maps."""

from pggan_framework.labels.attributes import Attribute, Labels, LabelSpace

__all__ = ["Attribute", "LabelSpace", "Labels"]
