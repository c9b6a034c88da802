"""The figures of Sampan, each measured beside a peer in the same run."""
