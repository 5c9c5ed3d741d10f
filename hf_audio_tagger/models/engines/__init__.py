"""What runs a network, where it is not torch as it stands."""
