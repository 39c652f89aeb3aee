"""What is measured: one interface, and vecstore behind it, embedded and over gRPC. Peer libraries: bench.peers."""
