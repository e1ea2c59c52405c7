"""What figures share: looks, axes, panels, captions' messages."""
