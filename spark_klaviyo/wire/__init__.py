"""Everything that touches the network: transport, what replies mean, the account's quota. Knows nothing of plans."""
