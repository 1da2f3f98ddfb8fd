"""Every way from a latent to codes and back."""
