"""What hospitals and coordinator must agree on: federation file, batches, model, messages."""
