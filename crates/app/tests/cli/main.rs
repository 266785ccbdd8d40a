//! The program as its users meet it: arguments in, output, files and exit codes out.

mod backup;
mod bad_input;
mod crash;
mod entities;
mod find;
mod help;
mod import;
mod laboratory;
mod limits;
mod load;
mod quickstart;
mod removal;
mod restore;
mod settings;
mod stores;
mod tokens;
mod upkeep;
mod waiting;
mod watch;
mod world;
