"""The paper's claims, and the rules that decide each from tables (docs/claims.md)."""
