//! How reports are shown.

mod pages;
mod sample;
mod texts;
