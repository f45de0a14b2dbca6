"""What the shop answers, one module per part of the shop; routes.py shows every address."""
