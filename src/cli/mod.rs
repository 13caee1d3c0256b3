//! What the program does when it is called: one file for each group of commands.
