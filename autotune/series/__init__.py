"""Series: named points measured beside each other, and what a source claims of them."""
