//! The program as its users meet it: arguments in, output, files and exit codes out.

mod backup;
mod bad_input;
mod crash;
mod entities;
mod find;
mod help;
mod import;
mod load;
mod quickstart;
mod restore;
mod stores;
mod tokens;
mod upkeep;
mod watch;
mod world;
