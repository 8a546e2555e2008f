"""What attempts write: lines, and chunks of them as they travel. Workers make them, others read them."""
