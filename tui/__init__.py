"""What people use: the headless CLI and the terminal UI, both plain HTTP clients."""
