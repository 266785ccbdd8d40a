//! How reports are shown and compared.

mod comparisons;
mod pages;
mod sample;
mod texts;
