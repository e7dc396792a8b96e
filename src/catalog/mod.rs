//! (being written)
#[derive(Debug)]
pub struct Definitions {}
