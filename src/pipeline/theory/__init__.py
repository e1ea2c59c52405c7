"""The paper's theorem on the computer: constructed heads, their norms, capacity bounds, and training from them."""
