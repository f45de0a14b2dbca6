"""The rules: values in, values out. No I/O, no clock, no randomness, nothing of ours from outside this folder."""
