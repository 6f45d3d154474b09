"""The HTTP API that sends and checks codes, and the worker that has numbers encrypted. It answers while its stores are down."""
