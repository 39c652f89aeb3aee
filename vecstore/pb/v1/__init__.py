"""Generated from proto/vecstore/v1 by tools/proto.py; do not edit."""
