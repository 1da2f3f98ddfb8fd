"""Every critic, and the adversarial and feature-matching losses."""
