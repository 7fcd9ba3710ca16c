"""The clock: how long steps and epochs take, ours and the frameworks' own."""
